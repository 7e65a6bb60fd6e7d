"""Servers that are not installed, as packages of the distribution that are never installed either.

Two mail servers cannot be installed side by side, and a test has no business with the services of a machine.
So the packages are fetched once, into a folder of this tree, and each run unpacks them into a temporary one::

    python -m tests.interop.debs
"""

import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

__all__ = ("CACHE", "PACKAGES", "fetched", "main")

CACHE = Path(__file__).parents[2] / ".interop-cache"

#: By server: the packages that it is made of. Libraries that they need and the machine lacks come with them.
PACKAGES = {
    "exim": ("exim4-daemon-heavy", "exim4-base"),
    "opensmtpd": ("opensmtpd",),
    "chasquid": ("chasquid",),
    "dovecot": ("dovecot-core", "dovecot-submissiond", "dovecot-lmtpd"),
    "microsocks": ("microsocks",),
    "tinyproxy": ("tinyproxy-bin",),
    "redis": ("redis-server",),
    "postgresql": ("postgresql",),
}
#: Packages that are of no use as the distribution has them: OpenSMTPD 6.8 with OpenSSL 3 refuses every TLS
#: client (https://github.com/OpenSMTPD/OpenSMTPD/issues/1171).
FROM_BACKPORTS = {"opensmtpd"}
BACKPORTS = "deb http://deb.debian.org/debian {}-backports main\n"
#: Seconds. A mirror that is slower than this costs a server, not the run.
PATIENCE = 120


def fetched(server: str) -> list[Path]:
    """The packages of a server that are here; none if it was not fetched."""
    return sorted((CACHE / server).glob("*.deb"))


def _apt_get(*arguments: str, cwd: Path | None = None) -> str:
    command = ["apt-get", "-qq", "--no-install-recommends", *arguments]
    done = subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
    )
    if done.returncode:
        raise OSError((done.stderr.strip().splitlines() or ["apt-get failed"])[-1])
    return done.stdout


def _closure(server: str) -> list[str]:
    """What an installation would install. A server that is installed already is named all the same."""
    # Simulated, it needs no rights, and may "remove" what stands in the way.
    plan = _apt_get("--simulate", "install", *PACKAGES[server])
    return sorted({*PACKAGES[server], *re.findall(r"^Inst (\S+)", plan, re.MULTILINE)})


def _download_from_backports(package: str, folder: Path) -> None:
    """Fetch a newer package, from lists of our own, so that the machine's stay as they are."""
    release = platform.freedesktop_os_release()
    if release["ID"] != "debian":
        raise OSError("only Debian has backports")
    lists = CACHE / "backports"
    (lists / "lists/partial").mkdir(parents=True, exist_ok=True)
    (lists / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
    (lists / "sources.list").write_text(BACKPORTS.format(release["VERSION_CODENAME"]))
    settings = {
        "Dir::Etc::SourceList": lists / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "Dir::State::Lists": lists / "lists",
        "Dir::Cache": lists / "cache",
    }
    options = [text for name, value in settings.items() for text in ("-o", f"{name}={value}")]
    _apt_get(*options, "update")
    _apt_get(*options, "download", package, cwd=folder)


def _fetch(server: str) -> int:
    packages = _closure(server)
    # Only a complete set gets the name that is looked for.
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        for package in FROM_BACKPORTS.intersection(packages):
            try:
                _download_from_backports(package, Path(folder))
            except (KeyError, OSError, subprocess.TimeoutExpired):
                continue  # what the distribution has is better than nothing
            packages.remove(package)
        if packages:
            _apt_get("download", *packages, cwd=Path(folder))
        shutil.copytree(folder, CACHE / f"{server}.part", dirs_exist_ok=True)
    (CACHE / f"{server}.part").rename(CACHE / server)
    return len(fetched(server))


def main(servers: Sequence[str] = ()) -> None:
    """Fetch what is not here yet, and say what cannot be had. It is no error: the tests skip that server.

    :param servers: keys of :data:`PACKAGES`; none for all
    """
    missing = [server for server in servers or PACKAGES if not fetched(server)]
    if missing and shutil.which("apt-get") is None:
        print(f"interop: no apt-get here, so without {', '.join(missing)}")
        return
    CACHE.mkdir(exist_ok=True)
    updated = False
    for server in missing:
        try:
            try:
                count = _fetch(server)
            except OSError:
                if updated:
                    raise
                # The lists of packages may be missing or old; only root may fetch them.
                updated = True
                _apt_get("update")
                count = _fetch(server)
        except (OSError, subprocess.TimeoutExpired) as error:
            print(f"interop: without {server}, which cannot be fetched: {error}")
        else:
            print(f"interop: fetched {server} ({count} packages)")


if __name__ == "__main__":
    main(sys.argv[1:])
