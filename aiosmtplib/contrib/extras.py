"""What to say where the package is missing that a face is for."""

from __future__ import annotations


def missing(face: str, package: str) -> str:
    """The text of the ImportError of ``aiosmtplib.contrib.<face>``, whose extra is of the same name."""
    return f"aiosmtplib.contrib.{face} needs {package}: pip install 'aiosmtplib[{face}]'"
