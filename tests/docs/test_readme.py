"""The README is short, and reads the same in the repository and on a package index."""

import re

import aiosmtplib

from .pages import README, ROOT, anchors, blocks

SOURCE = re.findall(r'(?m)^Source = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))[0]


def test_it_is_short() -> None:
    assert len(README.encode()) <= 8 * 1024
    (example,) = blocks("python", "README")
    assert len([line for line in example.text.splitlines() if line]) <= 15


def test_links_and_pictures_are_absolute_and_lead_to_files_here() -> None:
    targets = re.findall(r"\]\(([^)]+)\)", README)
    raw = SOURCE.replace("//github.com", "//raw.githubusercontent.com")
    assert len(targets) > 20
    for target in targets:
        url, _, anchor = target.partition("#")
        assert url.startswith((f"{SOURCE}/blob/main/", f"{raw}/main/")), target
        path = ROOT / re.sub(r"^(/blob)?/main/", "", url.removeprefix(SOURCE).removeprefix(raw))
        assert path.is_file(), target
        assert not anchor or anchor in anchors(path.read_text(encoding="utf-8")), target


def test_other_files_name_the_same_repository() -> None:
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob(".github/**/*.yml")]:
        for url in re.findall(r"https://github\.com/[\w-]+/aiosmtplib", path.read_text(encoding="utf-8")):
            assert url == SOURCE, path


def test_features_are_one_line_each_with_a_link() -> None:
    (features,) = re.findall(r"## What it does\n\n((?:- .*\n)+)\n", README)
    assert len(features.splitlines()) == 6
    assert all("](" in line for line in features.splitlines())


def test_changelog_begins_with_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^## \[?([\d.]+)", changelog)[0] == aiosmtplib.__version__
