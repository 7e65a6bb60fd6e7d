"""What is kept and told of what was said."""
