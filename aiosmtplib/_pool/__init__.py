"""Many connections: opened on demand, shared by all who send, and closed in time."""
