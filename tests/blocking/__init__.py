"""Sending mail from threads."""
