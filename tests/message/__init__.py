"""Message objects and addresses."""
