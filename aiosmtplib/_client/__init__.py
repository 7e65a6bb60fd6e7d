"""The client: one connection, what is sent over it, and what became of each message."""
