"""pytest plugin for the suite of 1.1.3: what that series had, and 5.x has replaced or removed.

It puts back ``start_tls=False`` as the default, as the change log of 2.0 tells callers to do, and the helpers
that the suite uses for its own ends. It is loaded without the tests of this package around it.
"""

import asyncio
import email.utils
import functools
import sys
import types

import aiosmtplib

#: ``start_tls`` was the ninth positional argument.
POSITION = 9


def _shutdown_loop(loop, timeout=1.0):
    """Cancel what runs on the loop, let it end, and close the loop."""
    loop.call_soon(loop.stop)  # a loop that was told to stop before it ran does so at its next start
    loop.run_forever()
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=timeout))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def _with_default(function):
    @functools.wraps(function)
    def called(*args, **kwargs):
        if len(args) <= POSITION:
            kwargs.setdefault("start_tls", False)
        return function(*args, **kwargs)

    return called


aiosmtplib.SMTP.__init__ = _with_default(aiosmtplib.SMTP.__init__)
aiosmtplib.send = _with_default(aiosmtplib.send)

aiosmtplib.email.formataddr = email.utils.formataddr
sync = types.ModuleType("aiosmtplib.sync")
sync.async_to_sync = None  # imported by tests that do not count
sync.shutdown_loop = _shutdown_loop
sys.modules[sync.__name__] = aiosmtplib.sync = sync
