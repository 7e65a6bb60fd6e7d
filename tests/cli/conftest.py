"""What several tests of the command line send."""

from pathlib import Path

import pytest


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    """A directory with four messages, of which two are alike."""
    directory = tmp_path / "outbox"
    directory.mkdir()
    for name, text in (("1", "one"), ("2", "two"), ("3", "same"), ("4", "same")):
        message = f"From: a@example.com\nTo: b@example.com, c@example.com\n\n{text}\n"
        (directory / f"{name}.eml").write_text(message)
    return directory
