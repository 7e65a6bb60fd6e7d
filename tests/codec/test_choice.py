"""Which twin runs: what the environment says, and what happens where the extension cannot be loaded."""

import os
import subprocess
import sys
from types import ModuleType

import pytest

REPORT = "from aiosmtplib import _codec as c; print(c.IMPLEMENTATION, c.ReplyParser.__module__)"
# None in sys.modules makes an import fail as a missing file would.
LOSE = "import sys; sys.modules['aiosmtplib._speedups'] = None; "
PURE = "python aiosmtplib._codec.pure.replies\n"
COMPILED = "cython aiosmtplib._speedups\n"


def run(code: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIOSMTPLIB_")}
    return subprocess.run(
        [sys.executable, *options, "-c", code], env={**env, **variables}, capture_output=True, text=True
    )


def reported(code: str, **variables: str) -> str:
    done = run(code, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_compiled_twin_is_preferred(compiled: ModuleType) -> None:
    assert reported(REPORT) == COMPILED
    assert reported(REPORT, AIOSMTPLIB_REQUIRE_EXTENSIONS="1") == COMPILED


@pytest.mark.parametrize("unset", ["", "0"])
def test_empty_and_zero_mean_unset(compiled: ModuleType, unset: str) -> None:
    assert reported(REPORT, AIOSMTPLIB_NO_EXTENSIONS=unset) == COMPILED
    assert reported(LOSE + REPORT, AIOSMTPLIB_REQUIRE_EXTENSIONS=unset) == PURE


def test_pure_twin_can_be_chosen() -> None:
    assert reported(REPORT, AIOSMTPLIB_NO_EXTENSIONS="1") == PURE
    loaded = "import sys, aiosmtplib._codec; print('aiosmtplib._speedups' in sys.modules)"
    assert reported(loaded, AIOSMTPLIB_NO_EXTENSIONS="1") == "False\n"


def test_lost_extension_is_no_error() -> None:
    assert reported(LOSE + REPORT) == PURE


def test_lost_extension_is_an_error_where_it_is_required() -> None:
    done = run(LOSE + REPORT, AIOSMTPLIB_REQUIRE_EXTENSIONS="1")
    assert done.returncode == 1
    assert (
        "ImportError: AIOSMTPLIB_REQUIRE_EXTENSIONS is set and aiosmtplib._speedups cannot be" in done.stderr
    )


def test_both_at_once_is_an_error() -> None:
    done = run(REPORT, AIOSMTPLIB_REQUIRE_EXTENSIONS="1", AIOSMTPLIB_NO_EXTENSIONS="1")
    assert done.returncode == 1
    assert "are both set: unset one" in done.stderr


def test_no_warning_in_development_mode(codec: ModuleType) -> None:
    use = f"import {codec.__name__} as c; c.ReplyParser().feed(b'250 a', 99, 99); c.encode_data(b'a')"
    done = run(use, "-X", "dev", "-W", "error")
    assert (done.returncode, done.stderr) == (0, "")


def test_codec_offers_what_its_twins_offer(codec: ModuleType) -> None:
    from aiosmtplib import _codec

    assert set(_codec.__all__) == {*codec.__all__, "IMPLEMENTATION"}
