"""The asyncio layer."""
