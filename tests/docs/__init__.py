"""Documentation is true."""
