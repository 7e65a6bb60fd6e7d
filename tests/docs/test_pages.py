"""What the pages say agrees with the code: tables, names, commands and links."""

import builtins
import inspect
import re

import pytest

import aiosmtplib.testing
from aiosmtplib import errors
from aiosmtplib._cli import console, credentials

from .pages import PAGES, ROOT, TEXT, anchors, blocks, named, names, table


def test_what_cannot_run_names_what_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"`?make ([a-z-]+)`?$", "\n".join(block.text for block in blocks("sh")), re.M)
    for target in {*targets, *re.findall(r"`make ([a-z-]+)`", TEXT)}:
        assert re.search(rf"(?m)^{target}:", makefile), target
    extras = re.search(
        r"(?s)\[project.optional-dependencies\](.*?)\n\n", (ROOT / "pyproject.toml").read_text()
    )
    assert extras is not None
    assert set(re.findall(r"(?m)^(\w+) =", extras[1])) == {
        *("uvloop", "cli", "testing", "proxy"),
        *(path.stem for path in (ROOT / "aiosmtplib" / "contrib").glob("[a-z]*.py") if path.stem != "extras"),
    }
    assert "[cli,uvloop,testing]" in PAGES["README"]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Relative ones to a page or a file of the repository, with an anchor to a heading there."""
    folder = ROOT if page == "README" else ROOT / "docs"
    text = re.sub(r"(?ms)^```.*?^```$", "", PAGES[page])
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        assert not path or (folder / path).exists(), target
        if anchor:
            assert anchor in anchors(PAGES[path.removesuffix(".md")] if path else text), target


def test_every_error_is_in_the_table() -> None:
    rows = table("error")
    assert sorted(names(row[0])[0] for row in rows) == sorted(errors.__all__)
    for name, kin, _ in rows:
        error = getattr(aiosmtplib, names(name)[0])
        for base in names(kin):
            assert issubclass(error, {**vars(builtins), **vars(aiosmtplib)}[base])


def test_verdicts_and_phases_are_those_of_the_code() -> None:
    assert named("`delivery`") == [f"Delivery.{verdict.name}" for verdict in aiosmtplib.Delivery]
    (phases,) = (row[1] for row in table("attribute of an error") if row[0] == "`phase`")
    documented = re.search(r"(?s):ivar phase:(.*?):ivar", errors.SMTPException.__doc__ or "")
    assert documented is not None
    assert re.findall(r'`"(\w+)"`', phases) == re.findall(r'"(\w+)"', documented[1])


def test_every_status_code_is_in_the_table() -> None:
    written = {names(row[0])[0]: int(row[1]) for row in table("name")}
    assert written == {status.name: status.value for status in aiosmtplib.SMTPStatus}


def test_options_attributes_and_commands_exist() -> None:
    of_client = inspect.signature(aiosmtplib.SMTP).parameters
    of_pool = inspect.signature(aiosmtplib.SMTPPool).parameters
    assert sorted(named("option")) == sorted(of_client)
    assert sorted(named("option of a pool")) == sorted(set(of_pool) - set(of_client))
    client = aiosmtplib.SMTP()
    assert [name for name in named("attribute of the client") if not hasattr(client, name)] == []
    (commands,) = re.findall(r"There are (.*?)\. They\s", PAGES["client"], re.DOTALL)
    assert [name for name in names(commands) if not hasattr(client, name)] == []
    assert sorted(named("parameter of `Server`")) == sorted(
        inspect.signature(aiosmtplib.testing.Server).parameters
    )


def test_the_command_line_is_as_described() -> None:
    assert [int(row[0]) for row in table("exit code")] == [int(code) for code in console.Exit]
    assert named("variable") == [credentials.USERNAME, credentials.PASSWORD, credentials.TOKEN]
