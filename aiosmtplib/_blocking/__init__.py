"""Sending mail from threads: an event loop of their own, and what is handed to and fro."""
