"""The envelope of a message: arguments and parameters of MAIL and RCPT (RFC 5321 section 4.1.1)."""
