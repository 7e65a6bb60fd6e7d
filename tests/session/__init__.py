"""The rules of SMTP without I/O."""
