"""The outbox on Redis Streams: its keys and scripts, the queue, the shared rates, and the worker."""
