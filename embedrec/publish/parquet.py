"""Neighbours and vectors as a folder of Parquet files, which takes the place of the old one in one step.

neighbours.parquet  item, rank (1 is the nearest), other, score
vectors.parquet     id, vector, and count, name where known: see `vector_files`
manifest.json       what the files hold, with checksums: the folder is an artifact of kind "publication"

Who has a file open reads the old one on. A reader that opens it twice by its name, as pyarrow.parquet.read_table does,
may meet two: open it once, as in `scripts/consumers/similar.py`.
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
from embedrec.publish.generations import Generation, Published, Size
from embedrec.storage import artifacts, atomic
from embedrec.vectors.file_formats import save_vectors

_KIND = "publication"
_LAYOUT = "parquet-1"


def measured_folder(publication: PublishContent) -> Size:
    """What `publish_folder` would write: rows, and bytes, of neighbours as compressed, of vectors as they are."""
    publication.check_ranks()
    size: dict[str, int] = {}
    total = 0
    if publication.neighbours is not None:
        counted = _Counted()
        size["neighbours"] = _write_neighbours(publication, counted, quiet)
        total += counted.bytes
    if publication.vectors is not None:
        size["vectors"] = len(publication.vectors)
        total += publication.vectors.vectors.nbytes
    return {**size, "bytes": total}


def publish_folder(publication: PublishContent, folder: Path, *, report: Report = quiet) -> Published:
    """Write the folder; it appears, or takes the place of the old one, whole, and who reads the old one reads on.

    A folder that holds this content already, undamaged, is left alone. Raises ArtifactError when something else stands
    there, which is never overwritten.
    """
    publication.check_ranks()
    artifacts.check_place(folder)
    atomic.sweep(folder.parent)
    fingerprint = publication.fingerprint(_LAYOUT)
    number, there = 1, None
    with suppress(ArtifactError, KeyError):
        there = artifacts.read(folder, _KIND)
        number = there.about["generation"] + 1
        there.check()
        if there.about["published"] == fingerprint:
            return Published(there.about["generation"])
    size: dict[str, int] = {}
    about: dict[str, Any] = {"generation": number, "published": fingerprint, **publication.made_from}
    with artifacts.writing(folder, _KIND, about, made_from=there) as draft:
        if publication.neighbours is not None:
            with draft.path("neighbours.parquet").open("wb") as file:
                size["neighbours"] = _write_neighbours(publication, file, report)
        if publication.vectors is not None:
            save_vectors(publication.vectors, draft.path("vectors.parquet"), "parquet")
            size["vectors"] = len(publication.vectors)
        draft.about["rows"] = dict(size)
        size["bytes"] = sum(file.stat().st_size for file in draft.folder.iterdir())
    return Published(number, size)


def published_folder(folder: Path) -> Generation:
    """What a folder serves: the only generation, as the next one takes its place.

    Raises ArtifactError where there is no such folder, or it is damaged.
    """
    there = artifacts.read(folder, _KIND)
    about = there.about
    number, fingerprint = about.get("generation"), about.get("published")
    if not (isinstance(number, int) and isinstance(fingerprint, str)):
        raise ArtifactError(f"{folder} does not say which generation it is; publish it again")
    return Generation(number, fingerprint, True, source=str(about.get("source", "")))


class _Counted(BytesIO):
    """A file that keeps nothing but its length."""

    bytes = 0

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.bytes += size
        return size

    def tell(self) -> int:
        return self.bytes


def _write_neighbours(publication: PublishContent, file: IO[bytes], report: Report) -> int:
    """Write a row a pair; how many there were. Memory does not grow with the catalogue."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    ids = to_arrow(publication.vocab.ids)
    schema = pa.schema([("item", ids.type), ("rank", pa.int16()), ("other", ids.type), ("score", pa.float32())])
    total = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as out:
        for rows, found in publication.neighbour_blocks():
            query, rank = np.nonzero(found.rows >= 0)
            columns = [
                ids.take(pa.array(rows[query])),
                pa.array((rank + 1).astype(np.int16)),
                ids.take(pa.array(found.rows[query, rank])),
                pa.array(found.scores[query, rank]),
            ]
            out.write_table(pa.table(columns, schema=schema))
            total += len(query)
            report("progress", done=int(rows[-1]) + 1, total=len(publication.vocab), unit="items")
    return total
