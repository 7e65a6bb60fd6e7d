"""Running a command as a user would: without the variables that steer this package or Python."""

import os
import subprocess
from pathlib import Path

__all__ = ("clean_environ", "run")


def clean_environ() -> dict[str, str]:
    """The environment without those variables."""
    steering = "AIOSMTPLIB_", "COVERAGE_", "PYTHON"
    return {name: value for name, value in os.environ.items() if not name.startswith(steering)}


def run(
    *command: object,
    cwd: Path | None = None,
    fails: bool = False,
    timeout: float | None = None,
    **variables: str,
) -> str:
    """Run a command, with the given variables only added, and return what it printed.

    :param fails: whether it has to fail
    :raises AssertionError: with what it printed, if it does otherwise
    """
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**clean_environ(), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    assert (done.returncode != 0) == fails, done.stdout
    return done.stdout
