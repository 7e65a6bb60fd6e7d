"""What the package promises: names, signatures, modules."""
