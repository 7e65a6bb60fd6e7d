"""Runs ``make test`` on every supported Python that can be had: the installed ones, and the newest releases.

The newest come from Debian's unstable suite, as a tree of their own that ``debootstrap`` makes in the user's
cache, once for all clones. That takes root, Debian's package tools and a mirror; without them the installed
ones remain, and a note says so. Each Python tests a copy of what git knows of, in an environment that stays
for the next time::

    python -m tests.support.pythons
    python -m tests.support.pythons --skip 3.11 -- ARGS="-k 'not uvloop'"

What follows ``--`` goes to ``make``. At the end there is a line for each Python, with its exact version and
the closing line of pytest. The exit status is 1 if one of them failed.
"""

import argparse
import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .toolchain import ROOT, SUPPORTED, interpreters

#: The tree and the environments, of about a gigabyte. Removed by hand, when a newer release is wanted.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aiosmtplib" / "pythons"
SUITE = "sid"
TREE = CACHE / SUITE
#: Written when the tree is complete, with the versions that it has.
COMPLETE = CACHE / f"{SUITE}.complete"
#: In the tree: what make needs, and what pip needs to reach its index.
TOOLS = ("ca-certificates", "gcc", "libc6-dev", "make")
#: What is copied into the tree: how names are resolved, which authorities are trusted, and where pip looks.
SETTINGS = (
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pip.conf",
    "/etc/xdg/pip/pip.conf",
    "/etc/xdg/pip/constraints.txt",
    "/root/.pip/pip.conf",
    "/root/.config/pip/pip.conf",
)
#: Folders that pip's configuration may name.
LOCAL_INDEX = re.compile(r"(?:file://)?(/(?:opt|srv)/[\w.+-]+)")
CLOSING = re.compile(r"=+ (.*\b(?:passed|failed|error|errors|skipped)\b.* in [\d.]+s.*?) =+")
#: What a make that runs this hands down, and the one that is run here must not take up.
OF_MAKE = {"ARGS", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS", "PYTEST", "PYTHON", "VENV"}
#: Seconds. A mirror that is slower than this costs the newest Pythons, not the run.
PATIENCE = 900


class NotHere(Exception):
    """The newest Pythons cannot be had on this machine, for the reason given."""


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait for the other clones that use the cache: all test in the same folders."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Place:
    """An interpreter and the folders that it tests in, all as it sees them."""

    python: str
    folder: str
    environment: str
    in_tree: bool

    def command(self, *command: str) -> list[str]:
        return entered(*command) if self.in_tree else list(command)


def entered(*command: str) -> list[str]:
    """Return the command that runs ``command`` with the tree as its root.

    Its mounts are in a namespace of its own. They end with it, however it ends, and so whatever removes the
    work folder never reaches through them.
    """
    return [*private(), sys.executable, "-m", "tests.support.pythons", "--enter", *command]


def private() -> list[str]:
    return ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]


def enter(command: Sequence[str]) -> None:
    """Mount what a running system has, make the tree the root, and become ``command``."""

    def mount(*arguments: str, at: str) -> None:
        target = TREE / at.lstrip("/")
        target.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", *arguments, str(target)], check=True)

    mount("-t", "proc", "proc", at="/proc")
    # With what is mounted below it: devpts and shared memory.
    mount("--rbind", "/dev", at="/dev")
    for folder in sorted(local_indexes()):
        mount("--bind", folder, at=folder)
    os.chroot(TREE)
    os.chdir("/")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PY", "VIRTUAL_ENV"))}
    kept |= {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
    os.execvpe(command[0], list(command), kept)


def local_indexes() -> set[str]:
    """Return the folders of this machine that pip is told to look into."""
    told = [value for name, value in os.environ.items() if name.startswith("PIP_")]
    for name in SETTINGS:
        if "pip" in name:
            with contextlib.suppress(OSError):
                told.append(Path(name).read_text())
    return {folder for text in told for folder in LOCAL_INDEX.findall(text) if Path(folder).is_dir()}


def run(*command: str, output: bool = False) -> str:
    """Run a command that fetches, and return what it printed; ``NotHere`` says why it failed."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotHere(str(error)) from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["nothing"]
        raise NotHere(f"{command[0]} said: {said[-1]}")
    return done.stdout


def mirror() -> str:
    """Return the mirror of Debian that apt uses."""
    sites = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian")
    for site in sites.split():
        return site
    raise NotHere("apt uses no mirror of Debian")


def make_tree() -> list[str]:
    """Make the tree if it is not there yet, and return the versions of Python that it has."""
    if os.name != "posix" or os.geteuid() != 0:
        raise NotHere("a tree of another system is made by root alone")
    for tool in ("apt-get", "unshare"):
        if shutil.which(tool) is None:
            raise NotHere(f"there is no {tool}")
    if COMPLETE.exists():
        return COMPLETE.read_text().split()
    print(f"pythons: making a tree of Debian's {SUITE}, which takes some minutes", flush=True)
    run("apt-get", "-qq", "update")
    if shutil.which("debootstrap") is None:
        run("apt-get", "-qq", "install", "--no-install-recommends", "--yes", "debootstrap")
    shutil.rmtree(TREE, ignore_errors=True)
    TREE.mkdir(parents=True)
    # In a namespace of its own, as it mounts too.
    run(
        *private(),
        "debootstrap",
        "--variant=minbase",
        f"--include={','.join(TOOLS)}",
        SUITE,
        str(TREE),
        mirror(),
    )
    for name in SETTINGS:
        if Path(name).exists():
            target = TREE / name.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(name, target)
    names = run(*entered("apt-cache", "search", "--names-only", r"^python3\.[0-9]+-venv$"))
    offered = re.findall(r"^python(3\.\d+)-venv", names, re.MULTILINE)
    versions = [version for version in SUPPORTED if version in offered]
    packages = [f"python{version}-{part}" for version in versions for part in ("dev", "venv")]
    run(*entered("apt-get", "-qq", "install", "--no-install-recommends", "--yes", *packages))
    COMPLETE.write_text(" ".join(versions))
    return versions


def copy_sources(folder: Path) -> None:
    """Copy what git knows of, and what it would, into ``folder``: nothing that was built, and no cache."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    shutil.rmtree(folder, ignore_errors=True)
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def places(skip: Sequence[str]) -> Iterator[Place]:
    """Yield the interpreters, of each version the newest release; a note says what is missing."""
    newest: list[str] = []
    try:
        newest = make_tree()
    except NotHere as reason:
        print(f"note: without the Pythons of Debian's {SUITE}: {reason}", flush=True)
    installed = interpreters()
    for version in SUPPORTED:
        if version in newest:
            yield Place(f"python{version}", "/root/tree", f"/root/venv-{version}", True)
        elif version in skip:
            continue
        elif version in installed:
            yield Place(str(installed[version]), str(CACHE / "tree"), str(CACHE / f"venv-{version}"), False)
        else:
            print(f"note: Python {version} cannot be had here", flush=True)


def tested(place: Place, arguments: Sequence[str]) -> tuple[bool, str]:
    """Run ``make test`` there, let its output through, and return the line for the table."""
    copy_sources(TREE / place.folder.lstrip("/") if place.in_tree else Path(place.folder))
    which = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
    version = run(*place.command(place.python, "-c", which)).strip()
    print(f"\npythons: {version}", flush=True)
    make = ["make", "--no-print-directory", "-C", place.folder, "test"]
    make += [f"PYTHON={place.python}", f"VENV={place.environment}", *arguments]
    closing = "no test was run"
    with subprocess.Popen(
        place.command(*make),
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in OF_MAKE},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if match := CLOSING.search(line):
                closing = match[1]
    return process.returncode == 0, f"Python {version}: {closing}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.pythons")
    parser.add_argument("--skip", action="append", default=[], help="an installed version to leave out")
    parser.add_argument("make", nargs="*", help="more arguments for make")
    options = parser.parse_args()
    with one_at_a_time():
        results = [tested(place, options.make) for place in places(options.skip)]
    print()
    for passed, line in results:
        print(line if passed else f"{line}: FAILED")
    return 0 if all(passed for passed, _ in results) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--enter"]:
        enter(sys.argv[2:])
    sys.exit(main())
