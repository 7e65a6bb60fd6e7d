"""SASL mechanisms (RFC 4422) as SMTP AUTH uses them (RFC 4954)."""
