"""Suites that others wrote, run against the wheel of this package: ``python -m tests.compat``.

They are those of the two series of aiosmtplib that this package stands in for, and of packages that use it.
Their sources come from the package index at each run; nothing of them is kept here. ``lists.json`` names the
tests that do not count, or that may fail, each with the reason.
"""
