"""Vocabularies as Parquet: columns `id` (string or int64), and `name`, `count` where known."""

from __future__ import annotations

import mmap
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.data.arrow import from_arrow, to_arrow
from embedrec.data.vocab import Ids, Vocab
from embedrec.errors import ArtifactError, DataError, reason


def save_vocab(vocab: Vocab, path: Path) -> None:
    """Write a vocabulary; row r of the file is row r of the vocabulary."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"id": to_arrow(vocab.ids)}
    if vocab.names is not None:
        columns["name"] = to_arrow(vocab.names)
    if vocab.counts is not None:
        columns["count"] = pa.array(vocab.counts, pa.int64())
    pq.write_table(pa.table(columns), path, compression="zstd", use_dictionary=False)


def load_vocab(path: Path) -> Vocab:
    """Read a vocabulary. Raises ArtifactError when the file is no such table."""
    columns = _columns(path)
    try:
        return Vocab(columns["id"], columns.get("name"), columns.get("count"))
    except DataError as e:
        raise ArtifactError(f"{path} holds no vocabulary ({e}); write the artifact again") from e


def later_vocab(path: Path) -> Vocab:
    """The same vocabulary, read when an id is asked for; of a file that `load_vocab` has read before as it is now.

    It stays the same when another file takes the place of this one.
    """
    with path.open("rb") as f:
        return _Later(path, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ))


class _Later(Vocab):
    """A vocabulary that is still in its file."""

    def __init__(self, path: Path, content: mmap.mmap) -> None:
        object.__setattr__(self, "_path", path)
        object.__setattr__(self, "_content", content)

    @cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        import pyarrow as pa

        return _columns(self._path, pa.BufferReader(self._content))  # type: ignore[attr-defined]

    @cached_property
    def ids(self) -> Ids:
        return self._columns["id"]

    @cached_property
    def names(self) -> np.ndarray | None:
        return self._columns.get("name")

    @cached_property
    def counts(self) -> np.ndarray | None:
        return self._columns.get("count")

    def __len__(self) -> int:
        return self._rows if "ids" not in self.__dict__ else len(self.ids)

    @cached_property
    def _rows(self) -> int:
        import pyarrow as pa
        import pyarrow.parquet as pq

        return int(pq.ParquetFile(pa.BufferReader(self._content)).metadata.num_rows)  # type: ignore[attr-defined]


def save_ids(ids: Ids, path: Path) -> None:
    """Write ids (n,) that need not be distinct."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": to_arrow(ids)}), path, compression="zstd", use_dictionary=False)


def load_ids(path: Path) -> Ids:
    """Read ids (n,). Raises ArtifactError when the file is no such table."""
    return _columns(path)["id"]


def _columns(path: Path, content: Any = None) -> dict[str, np.ndarray]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(content or path, memory_map=content is None)
        table = file.read(use_threads=False)  # read_table would import pandas
    except (pa.ArrowException, OSError) as e:
        raise ArtifactError(f"{path} is no Parquet file ({reason(e)}); write the artifact again") from e
    if "id" not in table.column_names or any(table[c].null_count for c in table.column_names):
        raise ArtifactError(f"{path} holds no ids; write the artifact again")
    return {c: from_arrow(table[c]) for c in table.column_names}
