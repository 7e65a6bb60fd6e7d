"""Message objects of the ``email`` package: their addresses, and the bytes they become (RFC 5322)."""
