"""Neighbours and vectors as a folder of Parquet files, which replaces the old one atomically.

neighbours.parquet  item, rank (1 is the nearest), other, score
vectors.parquet     id, vector, and count, name if known: see `file_formats.save_vectors`
manifest.json       contents and checksums of the files: the folder is an artifact of kind "publication"

A reader with an open file continues to read the old one. A reader that opens a file twice by its name, as
pyarrow.parquet.read_table does, may get two versions: open it once, as in `scripts/consumers/similar.py`.
"""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np

from embedrec.data.parquet_io import to_arrow
from embedrec.errors import ArtifactError
from embedrec.progress import Report, quiet
from embedrec.publish.content import PublishContent
from embedrec.publish.generations import Generation, Published, Size, check_successor
from embedrec.storage import artifacts, atomic
from embedrec.vectors.file_formats import save_vectors

_KIND = "publication"
_LAYOUT = "parquet-1"


def measure_folder(content: PublishContent) -> Size:
    """The size that `publish_folder` would write: rows, and bytes (neighbours compressed, vectors uncompressed)."""
    content.check_ranks()
    size: dict[str, int] = {}
    total = 0
    if content.lists is not None:
        file = _CountingFile()
        size["neighbours"] = _write_neighbours(content, file, quiet)
        total += file.bytes
    if content.vectors is not None:
        size["vectors"] = len(content.vectors)
        total += content.vectors.vectors.nbytes
    return {**size, "bytes": total}


def publish_folder(
    content: PublishContent, folder: Path, *, new_space: bool = False, report: Report = quiet
) -> Published:
    """Write the folder, or replace an old one, atomically; open files of the old one stay readable.

    A folder that already holds this content, undamaged, is not written again; otherwise it is written whole, because a
    Parquet file cannot be changed in place. Raises ArtifactError if something else exists at the path, which is never
    overwritten, and PublishError for content that readers of the folder do not expect, see `check_successor`.
    """
    content.check_ranks()
    artifacts.check_place(folder)
    atomic.sweep(folder.parent)
    fingerprint = content.fingerprint(_LAYOUT)
    number, published = 1, None
    with suppress(ArtifactError, KeyError):
        published = artifacts.read(folder, _KIND)
        number = published.about["generation"] + 1
        check_successor(folder_generation(folder), content, new_space=new_space)
        published.check()
        if published.about["published"] == fingerprint:
            return Published(published.about["generation"])
    size: dict[str, int] = {}
    about: dict[str, Any] = {"generation": number, "published": fingerprint, **content.about}
    with artifacts.writing(folder, _KIND, about, made_from=published) as draft:
        if content.lists is not None:
            with draft.path("neighbours.parquet").open("wb") as file:
                size["neighbours"] = _write_neighbours(content, file, report)
        if content.vectors is not None:
            save_vectors(content.vectors, draft.path("vectors.parquet"), "parquet")
            size["vectors"] = len(content.vectors)
        draft.about["rows"] = dict(size)
        size["bytes"] = sum(file.stat().st_size for file in draft.folder.iterdir())
    return Published(number, size)


def folder_generation(folder: Path) -> Generation:
    """The generation that a folder holds; the next one replaces it.

    Raises ArtifactError if the folder is missing or damaged.
    """
    published = artifacts.read(folder, _KIND)
    about = published.about
    number, fingerprint = about.get("generation"), about.get("published")
    if not (isinstance(number, int) and isinstance(fingerprint, str)):
        raise ArtifactError(f"the manifest of {folder} has no generation; publish it again")
    return Generation(number, fingerprint, True, source=str(about.get("source", "")), about=about)


class _CountingFile(BytesIO):
    """A file that only counts its bytes."""

    bytes = 0

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.bytes += size
        return size

    def tell(self) -> int:
        return self.bytes


def _write_neighbours(content: PublishContent, file: IO[bytes], report: Report) -> int:
    """Write one row per pair; returns their number. Memory does not grow with the catalogue."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    seeds, results = to_arrow(content.vocab.ids), to_arrow(content.results.ids)
    seed, result = content.columns
    schema = pa.schema([(seed, seeds.type), ("rank", pa.int16()), (result, results.type), ("score", pa.float32())])
    total = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as out:
        for rows, neighbours in content.list_blocks():
            query, rank = np.nonzero(neighbours.rows >= 0)
            columns = [
                seeds.take(pa.array(rows[query])),
                pa.array((rank + 1).astype(np.int16)),
                results.take(pa.array(neighbours.rows[query, rank])),
                pa.array(neighbours.scores[query, rank]),
            ]
            out.write_table(pa.table(columns, schema=schema))
            total += len(query)
            report("progress", done=int(rows[-1]) + 1, total=len(content.vocab), unit="items")
    return total
