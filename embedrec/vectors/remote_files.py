"""Files of vectors at URLs: copied for the time in which they are read, because most are mapped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from embedrec.errors import DataError, reason
from embedrec.storage.atomic import scratch_folder
from embedrec.storage.remote import ReadPath, RemotePath
from embedrec.vectors.hub_folder import CARD, CONFIG, ITEMS, VECTORS


@contextmanager
def local_vectors(path: ReadPath, beside: Path) -> Iterator[Path]:
    """A file of vectors, or a folder of `hub_folder`, on this machine.

    What is at a URL is copied into a hidden folder beside `beside` for the duration of the block, with the ids and the
    metadata of a file. Raises DataError if it is missing or cannot be read.
    """
    if isinstance(path, Path):
        yield path
        return
    with scratch_folder(beside) as folder:
        copy = folder / path.name
        if path.is_dir():
            copy.mkdir()
            sources = [path.with_name(f"{path.name}/{name}") for name in (VECTORS, ITEMS, CARD, CONFIG)]
        elif path.is_file():
            stem = PurePosixPath(path.name).stem
            sources = [path.with_name(name) for name in (path.name, f"{stem}.ids.txt", f"{path.name}.meta.json")]
        else:
            raise DataError(f"no file {path}; check the address")
        for source in sources:
            if source.is_file():
                _copy(source, (copy if copy.is_dir() else folder) / source.name)
        yield copy


def _copy(source: RemotePath, target: Path) -> None:
    """Raises DataError if the source cannot be read, or the disk is full."""
    try:
        with source.open() as given, target.open("wb") as out:
            shutil.copyfileobj(given, out, 1 << 24)
    except OSError as e:
        raise DataError(f"{source} cannot be copied to {target.parent} ({reason(e)}); copy it there yourself") from e
