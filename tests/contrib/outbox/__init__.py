"""The outbox, and the queue on Redis."""
