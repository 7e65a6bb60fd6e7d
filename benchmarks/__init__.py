"""Benchmarks: codec, session, sending. Run them with ``make bench``."""
