"""The twin that runs is the one that this environment should have.

Tests run from the root of the repository see the package in place. Without this test, an extension that
failed to build would go unnoticed: everything would pass, on the pure twin alone.
"""

import importlib


def test_the_expected_twin_is_loaded(expected_implementations: set[str]) -> None:
    codec = importlib.import_module("aiosmtplib._codec")
    assert codec.IMPLEMENTATION in expected_implementations
