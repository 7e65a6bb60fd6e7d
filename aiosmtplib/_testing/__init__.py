"""The parts of :mod:`aiosmtplib.testing`."""
