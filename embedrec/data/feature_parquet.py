"""Features as Parquet: an `id` column, and one column a feature."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.data.features import ID, Categories, Features, Lists
from embedrec.data.parquet_io import from_arrow, to_arrow
from embedrec.data.vocab import Vocab
from embedrec.errors import ArtifactError, DataError, decoding

_CATEGORIES, _DATES = b"categories", b"dates"  # keys of the file's metadata
_DISPLAY = ""  # the column of display names; no feature can have this name


def save_features(features: Features, path: Path) -> None:
    """Write features; row r of the file is row r of the features. Raises DataError for a string with surrogates."""
    import pyarrow.parquet as pq

    pq.write_table(to_table(features), path, compression="zstd")


def to_table(features: Features) -> Any:
    """Features as an Arrow table, see `from_table`. Raises DataError for a string with surrogates."""
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
    return pa.table(columns).replace_schema_metadata({_CATEGORIES: names.encode(), _DATES: dates.encode()})


def merge_features(first: Features, second: Features) -> Features:
    """The features of the ids of `first`, followed by those of the ids that only `second` has.

    A column that only one of them has is missing for the other's ids; so is a column of `second` whose type differs
    from that in `first`.
    """
    import pyarrow as pa

    new = np.flatnonzero(first.vocab.rows(second.vocab.ids) < 0)
    if not len(new) or first.vocab.integer != second.vocab.integer:
        return first
    tables = [to_table(first), to_table(second).take(new)]
    types = {field.name: field.type for field in tables[0].schema}
    conflicts = [field.name for field in tables[1].schema if types.get(field.name, field.type) != field.type]
    dates = json.dumps(sorted(first.dates | second.dates))
    merged = pa.concat_tables([tables[0], tables[1].drop_columns(conflicts)], promote_options="default")
    return from_table(merged.replace_schema_metadata({_DATES: dates.encode()}))


def load_features(path: Path) -> Features:
    """Read features. Raises ArtifactError when the file is not such a table."""
    import pyarrow.parquet as pq

    with decoding(lambda why: ArtifactError(f"{path} is not a Parquet file ({why}); write the artifact again")):
        table = pq.ParquetFile(path, memory_map=True).read(use_threads=False)  # read_table would import pandas
    with decoding(lambda why: ArtifactError(f"{path} contains no features ({why}); write the artifact again")):
        try:
            return from_table(table)
        except DataError as e:
            raise ArtifactError(f"{path} contains no features ({e}); write the artifact again") from e


def from_table(table: Any) -> Features:
    """Features of an Arrow table with an `id` column and one column a feature.

    Raises DataError for missing or duplicate ids, and for a column whose type cannot be a feature.
    """
    import pyarrow as pa

    metadata = table.schema.metadata or {}
    known, dates = json.loads(metadata.get(_CATEGORIES, b"{}")), json.loads(metadata.get(_DATES, b"[]"))
    if ID not in table.column_names or table[ID].null_count:
        raise DataError(f"the column {ID!r} must contain an id in every row")
    numeric, categorical, lists, display = {}, {}, {}, None
    for name, chunks in zip(table.column_names, table.columns, strict=True):  # a look-up by name takes k of k columns
        column = chunks.combine_chunks()
        if name == ID:
            continue
        if name == _DISPLAY:
            display = np.array(column.to_pylist(), dtype=object)
        elif pa.types.is_float32(column.type) or pa.types.is_float64(column.type):
            numeric[name] = column.to_numpy(zero_copy_only=False)
        elif _is_string(column.type):
            names = _distinct_names(column, known.get(name))
            categorical[name] = Categories(_codes(column, names, missing=-1), names)
        elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            words = column.flatten()
            if not _is_string(words.type):
                raise DataError(f"the column {name!r} has lists of {words.type}, but must contain lists of strings")
            names = _distinct_names(words, known.get(name))
            lists[name] = Lists(_offsets(column), _codes(words, names), names)
        else:
            raise DataError(f"the column {name!r} has the type {column.type}, which cannot be a feature")
    return Features(Vocab(from_arrow(table[ID]), display), numeric, categorical, lists, frozenset(dates))


def _is_string(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _distinct_names(texts: Any, known: list[str] | None) -> np.ndarray:
    """The distinct strings sorted by code point, or the known names in their order."""
    if known is None:
        known = sorted(texts.drop_null().unique().to_pylist())
    names = np.empty(len(known), dtype=object)
    names[:] = known
    return names


def _codes(texts: Any, names: np.ndarray, missing: int | None = None) -> np.ndarray:
    """The position of every string in `names`, `missing` for null. Raises DataError for a string not in `names`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    codes = pc.index_in(texts, value_set=pa.array(names.tolist(), texts.type), skip_nulls=True)
    if codes.null_count != (0 if missing is None else texts.null_count):
        raise DataError("a category has no name")
    return np.asarray(pc.fill_null(codes, -1).to_numpy(zero_copy_only=False), dtype=np.int32)


def _offsets(column: Any) -> np.ndarray:
    """Offsets (m+1,) of the flattened lists; a null list is empty."""
    import pyarrow.compute as pc

    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
