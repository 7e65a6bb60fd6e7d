"""The tests, as a package: they share helpers by relative import."""
