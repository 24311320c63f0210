"""What all workers of a service do: load again, or go back. A file that each of them reads tells them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from embedrec.errors import decoded_or_none
from embedrec.storage.atomic import lock


class Command(msgspec.Struct, frozen=True):
    """The last command.

    number   from 1; 0 before the first
    version  of what was served before, to go back to; "" to load again
    skipped  digests of artifacts that are not to be served until a command to load again
    force    serve artifacts that are worse than those served
    """

    number: int = 0
    version: str = ""
    skipped: tuple[str, ...] = ()
    force: bool = False


class Control:
    """The file of the last command in a folder that workers share; without a folder, a worker commands itself."""

    def __init__(self, folder: Path | None) -> None:
        self.file = None if folder is None else folder / "command.json"
        self.ready = None if folder is None else folder / "ready"
        self.last = Command()

    def read(self) -> Command | None:
        """The last command if it is new, else None."""
        file = self.file
        if file is None or not file.exists():
            return None
        command = decoded_or_none(lambda: msgspec.json.decode(file.read_bytes(), type=Command))
        if command is None or command.number <= self.last.number:
            return None
        self.last = command
        return command

    def write(self, command: Command) -> Command:
        """Tell the other workers; returns the command with its number, which no other command has."""
        with self._alone():
            self.read()
            self.last = Command(self.last.number + 1, command.version, command.skipped, command.force)
            if self.file is not None:
                draft = self.file.with_name(".command")
                draft.write_bytes(msgspec.json.encode(self.last))
                draft.replace(self.file)
            return self.last

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until no other worker, and no other thread, writes."""
        if self.file is None:
            yield
            return
        folder = os.open(self.file.parent, os.O_RDONLY)
        try:
            lock(folder, wait=True)
            yield
        finally:
            os.close(folder)

    def mark_ready(self) -> None:
        """Tell workers that start later that one answers already."""
        if self.ready is not None:
            self.ready.touch()

    def others_answer(self) -> bool:
        """Whether a worker that starts now may take its time."""
        return self.ready is not None and self.ready.exists()
