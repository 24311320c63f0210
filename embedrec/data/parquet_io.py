"""Vocabularies as Parquet: columns `id` (string or int64), and `name`, `count` where known."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.data.features import ID, Categories, Features, Lists
from embedrec.data.vocab import Ids, Vocab
from embedrec.errors import ArtifactError, DataError
from embedrec.runtime.decoding import decoding

_ROWS = 1 << 20  # of a row group at most, which is Arrow's own number
_CHARACTERS = 64 << 20  # of the texts of a row group, about
_LOOKED_AT = 1 << 12  # rows counted together


def save_vocab(vocab: Vocab, path: Path) -> None:
    """Write a vocabulary; row r of the file is row r of the vocabulary."""
    columns = {"id": vocab.ids, "name": vocab.names, "count": vocab.counts}
    _write(path, {name: column for name, column in columns.items() if column is not None})


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
    _write(path, {"id": ids})


def load_ids(path: Path) -> Ids:
    """Read ids (n,). Raises ArtifactError when the file is no such table."""
    return _columns(path)["id"]


def _write(path: Path, columns: dict[str, np.ndarray]) -> None:
    """Write columns (n,) of int64 or texts, part by part, so that no second copy of all texts is made."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {name: pa.string() if column.dtype == object else pa.int64() for name, column in columns.items()}
    with pq.ParquetWriter(path, pa.schema(kinds), compression="zstd", use_dictionary=False) as file:
        for part_rows in _parts([column for column in columns.values() if column.dtype == object], len(columns["id"])):
            file.write_table(pa.table({name: to_arrow(column[part_rows]) for name, column in columns.items()}))


def _parts(texts: Sequence[np.ndarray], n: int) -> Iterator[slice]:
    """Slices of n rows, of at most so many rows and characters of their texts; one where there are no rows."""
    start = at = size = 0
    while at < n:
        end = min(at + _LOOKED_AT, start + _ROWS, n)
        size += sum(sum(map(len, column[at:end])) for column in texts)
        at = end
        if size >= _CHARACTERS or at - start == _ROWS:
            yield slice(start, at)
            start, size = at, 0
    if start < n or not n:
        yield slice(start, n)


def _columns(path: Path, content: Any = None) -> dict[str, np.ndarray]:
    import pyarrow.parquet as pq

    with decoding(lambda why: ArtifactError(f"{path} is no Parquet file ({why}); write the artifact again")):
        file = pq.ParquetFile(content or path, memory_map=content is None)
        table = file.read(use_threads=False)  # read_table would import pandas
    if "id" not in table.column_names or any(table[c].null_count for c in table.column_names):
        raise ArtifactError(f"{path} holds no ids; write the artifact again")
    with decoding(lambda why: ArtifactError(f"{path} holds no ids ({why}); write the artifact again")):
        return {c: from_arrow(table[c]) for c in table.column_names}


_PART = 1 << 16  # texts converted together


def to_arrow(ids: Ids, *, large: bool = False) -> Any:
    """Ids (n,), int64 or str, as an Arrow array of int64 or string (`large`: with 64-bit offsets).

    Raises DataError for a text that is not Unicode (a lone surrogate).
    """
    import pyarrow as pa

    if ids.dtype == np.int64:
        return pa.array(ids)
    try:
        return pa.array(ids.tolist(), pa.large_string() if large else pa.string())
    except UnicodeEncodeError as e:
        raise DataError(f"the text {e.object!r} is not valid Unicode; repair it") from None


def from_arrow(column: Any) -> np.ndarray:
    """An Arrow array or column as NumPy: texts as an object array of str, numbers as they are."""
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        texts = np.empty(len(column), dtype=object)
        for at in range(0, len(column), _PART):
            texts[at : at + _PART] = column[at : at + _PART].to_pylist()
        return texts
    return column.to_numpy()


_NAMES, _DATES = b"categories", b"dates"


_DISPLAY = ""  # the column of display names: no feature is called so


def save_features(features: Features, path: Path) -> None:
    """Write features; row r of the file is row r of the features. Raises DataError for a text that is not Unicode."""
    import pyarrow.parquet as pq

    pq.write_table(to_table(features), path, compression="zstd")


def to_table(features: Features) -> Any:
    """Features as an Arrow table, see `from_table`. Raises DataError for a text that is not Unicode."""
    import pyarrow as pa

    columns = {ID: to_arrow(features.vocab.ids)}
    if features.vocab.names is not None:
        columns[_DISPLAY] = to_arrow(features.vocab.names)
    for name, numbers in features.numeric.items():
        columns[name] = pa.array(numbers, from_pandas=True)  # NaN is null
    for name, words in features.categorical.items():
        codes = pa.array(words.codes, mask=words.codes < 0)
        columns[name] = to_arrow(words.names).take(codes)
    for name, lists in features.lists.items():
        texts = to_arrow(lists.names, large=True).take(pa.array(lists.codes))
        columns[name] = pa.LargeListArray.from_arrays(pa.array(lists.offsets), texts)
    named: dict[str, Categories | Lists] = {**features.categorical, **features.lists}
    names = json.dumps({name: column.names.tolist() for name, column in named.items()}, ensure_ascii=False)
    dates = json.dumps(sorted(features.dates), ensure_ascii=False)
    return pa.table(columns).replace_schema_metadata({_NAMES: names.encode(), _DATES: dates.encode()})


def joined(first: Features, then: Features) -> Features:
    """What is known of the ids of `first`, and behind them of those that only `then` has. Columns of one of both are
    empty for the other; those whose types differ are as in `first`, and unknown for the others."""
    import pyarrow as pa

    fresh = np.flatnonzero(first.vocab.rows(then.vocab.ids) < 0)
    if not len(fresh) or first.vocab.integer != then.vocab.integer:
        return first
    tables = [to_table(first), to_table(then).take(fresh)]
    mine = {field.name: field.type for field in tables[0].schema}
    odd = [field.name for field in tables[1].schema if mine.get(field.name, field.type) != field.type]
    dates = json.dumps(sorted(first.dates | then.dates))
    whole = pa.concat_tables([tables[0], tables[1].drop_columns(odd)], promote_options="default")
    return from_table(whole.replace_schema_metadata({_DATES: dates.encode()}))


def load_features(path: Path) -> Features:
    """Read features. Raises ArtifactError when the file is no such table."""
    import pyarrow.parquet as pq

    with decoding(lambda why: ArtifactError(f"{path} is no Parquet file ({why}); write the artifact again")):
        table = pq.ParquetFile(path, memory_map=True).read(use_threads=False)  # read_table would import pandas
    with decoding(lambda why: ArtifactError(f"{path} holds no features ({why}); write the artifact again")):
        try:
            return from_table(table)
        except DataError as e:
            raise ArtifactError(f"{path} holds no features ({e}); write the artifact again") from e


def from_table(table: Any) -> Features:
    """An Arrow table, an `id` column and one column a feature, as features.

    Raises DataError for ids that are missing or twice, and for a column of a type that is no feature.
    """
    import pyarrow as pa

    metadata = table.schema.metadata or {}
    known, dates = json.loads(metadata.get(_NAMES, b"{}")), json.loads(metadata.get(_DATES, b"[]"))
    if ID not in table.column_names or table[ID].null_count:
        raise DataError(f"the column {ID!r} must hold an id in every row")
    numeric, categorical, lists, display = {}, {}, {}, None
    for name, chunks in zip(table.column_names, table.columns, strict=True):  # a look-up by name takes k of k columns
        column = chunks.combine_chunks()
        if name == ID:
            continue
        if name == _DISPLAY:
            display = np.array(column.to_pylist(), dtype=object)
        elif pa.types.is_float32(column.type) or pa.types.is_float64(column.type):
            numeric[name] = column.to_numpy(zero_copy_only=False)
        elif _texts(column.type):
            names = _names(column, known.get(name))
            categorical[name] = Categories(_codes(column, names, missing=-1), names)
        elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            words = column.flatten()
            if not _texts(words.type):
                raise DataError(f"the column {name!r} holds lists of {words.type}, but a feature is a list of texts")
            names = _names(words, known.get(name))
            lists[name] = Lists(_offsets(column), _codes(words, names), names)
        else:
            raise DataError(f"the column {name!r} holds {column.type}, which is no feature")
    return Features(Vocab(from_arrow(table[ID]), display), numeric, categorical, lists, frozenset(dates))


def _texts(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _names(texts: Any, known: list[str] | None) -> np.ndarray:
    """The distinct texts, sorted by code point; or those that are known, in their order."""
    if known is None:
        known = sorted(texts.drop_null().unique().to_pylist())
    names = np.empty(len(known), dtype=object)
    names[:] = known
    return names


def _codes(texts: Any, names: np.ndarray, missing: int | None = None) -> np.ndarray:
    """The position of every text in `names`, `missing` for null. Raises DataError for a text without a name."""
    import pyarrow as pa
    import pyarrow.compute as pc

    codes = pc.index_in(texts, value_set=pa.array(names.tolist(), texts.type), skip_nulls=True)
    if codes.null_count != (0 if missing is None else texts.null_count):
        raise DataError("a category has no name")
    return np.asarray(pc.fill_null(codes, -1).to_numpy(zero_copy_only=False), dtype=np.int32)


def _offsets(column: Any) -> np.ndarray:
    """Offsets (m+1,) of the flattened lists, null lists empty."""
    import pyarrow.compute as pc

    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
