"""Glob patterns of files, such as `data/2026-*.csv` and `data/**/plays.csv`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from glob import glob, has_magic
from pathlib import Path

from embedrec.errors import DataError

MAX_LINKS = 100_000  # folders that one pattern may visit
_ANY_DEPTH = "**"


def expand_glob(pattern: str) -> list[Path]:
    """The files and folders that match a pattern as in `glob`: `**` matches any number of folders; hidden names are
    left out.

    Raises DataError if `**` covers so many folders that it may be a whole disk. Links to visited folders are not
    followed again.
    """
    parts = Path(pattern).parts
    if _ANY_DEPTH not in parts:
        return [Path(p) for p in glob(pattern)]  # noqa: PTH207 (absolute patterns too)
    fixed = next(n for n, part in enumerate(parts) if has_magic(part))
    walk = _Walk(pattern)
    matches = walk.below(Path(*parts[:fixed]), parts[fixed:])
    return list(dict.fromkeys(matches))


def files_below(folder: Path) -> list[Path]:
    """The files in a folder and in all folders below it, without hidden files and links to folders.

    Raises DataError if there are so many folders that it may be a whole disk, and OSError if the folder itself is not
    readable.
    """
    os.scandir(folder).close()
    walk, files = _Walk(str(folder)), list[Path]()
    pending = [folder]
    while pending:
        current = pending.pop()
        for entry in walk.entries(current):
            if entry.is_dir(follow_symlinks=False):
                pending.append(current / entry.name)
            elif entry.is_file():
                files.append(current / entry.name)
    return files


@dataclass
class _Walk:
    """A walk through folders; `passed` are the folders that `**` visited, each with the rest of the pattern."""

    pattern: str
    folders: int = 0
    passed: set[tuple[int, int, tuple[str, ...]]] = field(default_factory=set)

    def below(self, folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
        """The paths below a folder that match `parts`."""
        if not parts:
            yield folder
            return
        first, rest = parts[0], parts[1:]
        if first == _ANY_DEPTH:
            yield from self.at_any_depth(folder, rest)
        elif has_magic(first):
            for entry in self.entries(folder):
                if fnmatchcase(entry.name, first) and (not rest or entry.is_dir()):
                    yield from self.below(folder / entry.name, rest)
        elif os.path.lexists(folder / first):
            yield from self.below(folder / first, rest)

    def at_any_depth(self, folder: Path, rest: tuple[str, ...]) -> Iterator[Path]:
        """The paths in a folder and all folders below it that match `rest`; all paths if `rest` is empty."""
        try:
            info = folder.stat()
        except OSError:
            return
        key = (info.st_dev, info.st_ino, rest)
        if key in self.passed:
            return
        self.passed.add(key)
        yield from self.below(folder, rest)
        for entry in self.entries(folder):
            if entry.is_dir():
                yield from self.at_any_depth(folder / entry.name, rest)
            elif not rest:
                yield folder / entry.name

    def entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """The entries of a folder that are not hidden; none if it is not readable."""
        self.folders += 1
        if self.folders > MAX_LINKS:
            raise DataError(f"{self.pattern} covers more than {MAX_LINKS:,} folders; name the folder of the data")
        try:
            with os.scandir(folder) as entries:
                return [entry for entry in entries if not entry.name.startswith(".")]
        except OSError:
            return []
