"""The asyncio layer: a connection as a protocol, its deadlines, its writing and its TLS."""
