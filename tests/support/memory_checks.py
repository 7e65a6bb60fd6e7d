"""Runs the compiled codec where every access to memory is watched: AddressSanitizer with UBSan, and valgrind.

``python -m tests.support.memory_checks sanitize [PYTEST OPTIONS]`` builds the extension with both sanitizers
into a copy of what the tests need, looks for leaks, and runs every test there that exercises it. ``python -m
tests.support.memory_checks valgrind`` runs the built extension under memcheck, through
:mod:`tests.support.codec_calls`. Both fail on any report in which the extension has a part, and both first
show that they would: a probe that is wrong on purpose is caught.

Exit status 3: what is needed is not installed.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .toolchain import ROOT, compile_extension

FOLDER = ROOT / "build" / "memory"
SUPPRESSIONS = Path(__file__).parent / "memcheck.supp"

#: Everything that exercises ``_speedups`` without a network in between.
TESTS = (
    "client/test_verdicts",
    "codec",
    "message/test_fields",
    "message/test_flatten",
    "session",
)
#: So many calls of every name with values of any type. An environment variable may ask for others.
RANDOM_CALLS = os.environ.get("RANDOM_CALLS", "1000000")
#: With these the shared object of the probe, and the extension, are built.
FLAGS = ("-O1", "-g", "-fno-omit-frame-pointer")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")

#: One mistake for each kind of report.
PROBE = r"""
#include <Python.h>
#include <limits.h>
static PyObject *overread(PyObject *self, PyObject *bytes)
{
    /* The byte after the NUL that ends the object. */
    volatile char c = PyBytes_AS_STRING(bytes)[PyBytes_GET_SIZE(bytes) + 1];
    return PyLong_FromLong(c == 'x' ? 1 : 0);
}
static PyObject *overflow(PyObject *self, PyObject *number)
{
    volatile int most = INT_MAX;
    return PyLong_FromLong(most + (int)PyLong_AsLong(number));
}
static PyObject *leak(PyObject *self, PyObject *number)
{
    volatile char *lost = malloc((size_t)PyLong_AsLong(number));
    lost[0] = 'x';
    lost = NULL;
    Py_RETURN_NONE;
}
static PyMethodDef methods[] = {
    {"overread", overread, METH_O, NULL}, {"overflow", overflow, METH_O, NULL}, {"leak", leak, METH_O, NULL},
    {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_speedups_probe", NULL, -1, methods};
PyMODINIT_FUNC PyInit__speedups_probe(void) { return PyModule_Create(&module); }
"""
MISTAKES = {
    "overread": "p.overread(bytes(bytearray(b'x' * 31)))",
    "overflow": "p.overflow(1)",
    "leak": "p.leak(4321)",
}
LOAD = "import sys; sys.path.insert(0, sys.argv[1]); import _speedups_probe as p; "


class Missing(Exception):
    """What is needed is not installed."""


def run(command: list[object], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Python objects each in a block of its own, so that what lies beside one belongs to nobody."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIOSMTPLIB_", "COV"))}
    env |= {"PYTHONMALLOC": "malloc", **variables}
    return subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def build_probe(folder: Path, *flags: str) -> None:
    source = folder / "_speedups_probe.c"
    source.write_text(PROBE)
    built = folder / f"_speedups_probe{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = f"-I{sysconfig.get_path('include')}"
    done = run(["gcc", "-shared", "-fPIC", "-w", include, *FLAGS, *flags, source, "-o", built], folder)
    if done.returncode != 0:
        raise Missing(f"gcc cannot build with {' '.join(flags)}: {done.stdout.strip()[-300:]}")


# -- sanitizers --------------------------------------------------------------------------------------


def runtime() -> Path:
    """The shared library of AddressSanitizer, which has to be loaded before Python itself."""
    if shutil.which("gcc") is None:
        raise Missing("no gcc")
    found = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True
    ).stdout.strip()
    if not Path(found).is_absolute():
        raise Missing("no libasan, the runtime of AddressSanitizer")
    return Path(found).resolve()


def sanitized(folder: Path, leaks: bool = False) -> Mapping[str, str]:
    """The environment; reports go into files, because pytest swallows what is printed."""
    log, code = f"log_path={folder}/report", 0 if leaks else 86
    return {
        "LD_PRELOAD": str(runtime()),
        # Whether Python leaks is not the question, so that a leak alone is no failure: see leaks_of_ours().
        "ASAN_OPTIONS": f"{log}:exitcode={code}:detect_leaks={leaks:d}:quarantine_size_mb=32"
        # What asks for more is told that there is no memory, as it would be.
        ":allocator_may_return_null=1:max_allocation_size_mb=4096",
        "UBSAN_OPTIONS": f"{log}:exitcode=86:halt_on_error=1:print_stacktrace=1",
    }


def reports_in(folder: Path) -> str:
    texts = []
    for path in sorted(folder.glob("report.*")):
        lines = path.read_text(errors="replace").splitlines(keepends=True)
        # What does not fit is no error: it is a MemoryError to whoever wants it.
        texts += [line for line in lines if "AddressSanitizer failed to allocate" not in line]
        path.unlink()
    return "".join(texts)


def leaks_of_ours(report: str) -> list[str]:
    """Those in whose stack the extension is."""
    leaks = re.split(r"\n(?=(?:Direct|Indirect) leak of )", report)
    return [leak for leak in leaks if " leak of " in leak and "_speedups" in leak]


def sanitize(options: list[str]) -> str | None:
    folder = FOLDER / "sanitize"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    plain, leaking = sanitized(folder), sanitized(folder, leaks=True)
    build_probe(folder, *SANITIZERS)
    for name, kind in (("overread", "heap-buffer-overflow"), ("overflow", "signed integer overflow")):
        done = run([sys.executable, "-c", LOAD + MISTAKES[name], folder], folder, **plain)
        if done.returncode == 0 or kind not in reports_in(folder) + done.stdout:
            return f"the sanitizers let a mistake pass, {name}: {done.stdout}"
    run([sys.executable, "-c", LOAD + MISTAKES["leak"], folder], folder, **leaking)
    sees_leaks = bool(leaks_of_ours(reports_in(folder)))
    print(f"the probe is caught{'' if sees_leaks else '; leaks cannot be looked for here'}", flush=True)

    compile_extension(folder, "gcc", *FLAGS, *SANITIZERS)
    left_out = shutil.ignore_patterns("__pycache__", "_speedups*.so", "_speedups*.pyd")
    for name in ("aiosmtplib", "tests", "fuzz"):
        shutil.copytree(ROOT / name, folder / name, ignore=left_out, dirs_exist_ok=True)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder)
    if sees_leaks:
        done = run([sys.executable, "-m", "tests.support.codec_calls", "3"], folder, **leaking)
        report = reports_in(folder)
        if done.returncode != 0 or "ERROR: AddressSanitizer" in report or leaks_of_ours(report):
            return "\n".join([done.stdout, *(leaks_of_ours(report) or [report])])
        print(f"no leak of ours: {done.stdout.strip()}", flush=True)
    tests = [
        path
        for name in TESTS
        for path in [folder / f"tests/{name}.py", *(folder / "tests" / name).glob("test_*.py")]
        if path.exists()
    ]
    quick = ["-q", "-p", "no:cacheprovider", "-k", "not pure", "--hypothesis-profile=few"]
    # Every other file in a process of its own: with two processors it takes half as long.
    command = [sys.executable, "-m", "pytest", *quick, *options]
    with ThreadPoolExecutor() as pool:
        halves = [pool.submit(run, [*command, *tests[i::2]], folder, **plain) for i in range(2)]
        calls = [sys.executable, "-X", "faulthandler", "-m", "tests.support.random_calls", RANDOM_CALLS]
        finished = [each.result() for each in (*halves, pool.submit(run, calls, folder, **plain))]
    for done in finished:
        failed = done.returncode != 0
        print("\n".join(done.stdout.splitlines()[-60 if failed else -1 - 12 * bool(options) :]))
    report = reports_in(folder)
    if any(done.returncode != 0 for done in finished):
        return report or "no report, but the tests failed"
    return report or None


# -- valgrind ----------------------------------------------------------------------------------------


def memcheck(folder: Path, *command: object) -> tuple[str, list[str]]:
    """What was printed, and the errors in whose stack the extension is."""
    written = folder / "memcheck.xml"
    options = ["--xml=yes", f"--xml-file={written}", f"--suppressions={SUPPRESSIONS}", "--num-callers=30"]
    leaks = ["--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"]
    done = run(["valgrind", "--quiet", *options, *leaks, sys.executable, *command], ROOT)
    if done.returncode != 0:
        return done.stdout, [f"status {done.returncode}"]
    errors = []
    for error in ElementTree.parse(written).getroot().iter("error"):
        frames = [
            " ".join(filter(None, (frame.findtext(name) for name in ("fn", "file", "line", "obj"))))
            for frame in error.iter("frame")
        ]
        if any("_speedups" in frame for frame in frames):
            errors.append("\n  ".join([error.findtext("kind") or "", *frames]))
    return done.stdout, errors


def valgrind() -> str | None:
    if shutil.which("valgrind") is None or shutil.which("gcc") is None:
        raise Missing("no valgrind, or no gcc")
    folder = FOLDER / "valgrind"
    folder.mkdir(parents=True, exist_ok=True)
    build_probe(folder)
    _, errors = memcheck(folder, "-S", "-c", LOAD + MISTAKES["overread"] + "; " + MISTAKES["leak"], folder)
    kinds = {error.partition("\n")[0] for error in errors}
    if kinds != {"InvalidRead", "Leak_DefinitelyLost"}:
        return f"memcheck did not see the mistakes of the probe, but {kinds}"
    print("the probe is caught", flush=True)
    printed, errors = memcheck(folder, "-m", "tests.support.codec_calls", "1")
    print(printed.strip())
    return "\n\n".join(errors) or None


def main(args: list[str]) -> int:
    try:
        found = sanitize(args[1:]) if args[:1] == ["sanitize"] else valgrind()
    except Missing as error:
        print(f"skipped: {error}")
        return 3
    if found is not None:
        print(f"FAILED\n{found}")
        return 1
    print("no report")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
