"""Stores for contents that are too large to go through a queue: the protocol, and one in a directory."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

__all__ = ("BodyStore", "DirectoryStore")


class BodyStore(Protocol):
    """A store of contents by name. All who enqueue and all workers have to reach the same one.

    Its methods block: :mod:`aiosmtplib.contrib.taskiq` calls them in threads.
    """

    def create(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A context manager with a file to write to. Its content is there when the block ends, and whole.

        If the block raises, nothing is kept.
        """
        ...

    def open(self, name: str) -> BinaryIO:
        """A file to read a content from.

        :raises OSError: if there is none of that name, or it cannot be read
        """
        ...

    def copy(self, name: str, to: str) -> None:
        """Keep a content under a second name, which is removed for itself."""
        ...

    def remove(self, name: str) -> None:
        """Remove a content; nothing happens if there is none of that name."""
        ...


class DirectoryStore:
    """A :class:`BodyStore` in a directory, with a file for each content.

    A file gets its name once it is complete and on the disk. Nobody but the user of the process can read it.

    :param path: the directory, which is made if there is none
    :raises OSError: if it cannot be made
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._folder = Path(path)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._folder}>"

    @contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        """See :meth:`BodyStore.create`.

        :raises ValueError: if the name is none
        :raises OSError: if the file cannot be written
        """
        path = self._path(name)
        part = self._folder / f".{uuid.uuid4().hex}.part"
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            self._sync()
        finally:
            part.unlink(missing_ok=True)

    def open(self, name: str) -> BinaryIO:
        """See :meth:`BodyStore.open`."""
        return self._path(name).open("rb")

    def copy(self, name: str, to: str) -> None:
        """See :meth:`BodyStore.copy`: another link to the same file."""
        target = self._path(to)
        try:
            os.link(self._path(name), target)
        except FileExistsError:  # it was copied before, by somebody who could not say so
            return
        self._sync()

    def remove(self, name: str) -> None:
        """See :meth:`BodyStore.remove`."""
        self._path(name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """The names of all contents."""
        return sorted(path.name for path in self._folder.iterdir() if not path.name.startswith("."))

    def _path(self, name: str) -> Path:
        # It comes from a queue, to which others may be able to write.
        if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}", name):
            raise ValueError(f"{name!a} is no name of a content")
        return self._folder / name

    def _sync(self) -> None:
        """Have the names on the disk, where a directory can be opened."""
        if os.name == "posix":
            directory = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
