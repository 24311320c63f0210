"""Conversion of Arrow columns from the many types that writers use to the few types that readers handle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedrec.errors import DataError, decoding


def simplify(column: Any) -> Any:
    """The column without dictionaries, views, run-end encoding and extension types. Lists become lists with 32-bit
    offsets of such values; other nested types stay as they are."""
    for fits, step in _STEPS:
        if fits(column.type):
            return simplify(step(column))
    return _simplify_list(column) if is_list(column.type) else column


_STEPS: tuple[tuple[Callable[[Any], bool], Callable[[Any], Any]], ...] = (
    (lambda kind: isinstance(kind, pa.BaseExtensionType), lambda column: column.storage),
    (
        pa.types.is_dictionary,  # Arrow decodes no dictionary of views, as Polars makes them
        lambda column: pa.DictionaryArray.from_arrays(column.indices, simplify(column.dictionary)).dictionary_decode(),
    ),
    (pa.types.is_run_end_encoded, pc.run_end_decode),
    # by way of bytes, so that invalid UTF-8 raises no error yet
    (
        pa.types.is_string_view,
        lambda column: pc.cast(pc.cast(column, pa.binary_view()), pa.binary()).view(pa.string()),
    ),
    (pa.types.is_binary_view, lambda column: pc.cast(column, pa.binary())),
)


def invalid_utf8(column: Any) -> np.ndarray | None:
    """A mask (b,) of the texts, or of the lists with texts, that are not UTF-8; None if all are."""
    kind = column.type
    if is_list(kind):
        inside = invalid_utf8(column.flatten())
        if inside is None:
            return None
        wrong = np.zeros(len(column), dtype=bool)
        wrong[pc.list_parent_indices(column).to_numpy()[inside]] = True
        return wrong
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)) or not len(column) or _is_ascii(column):
        return None
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        texts = column.view(pa.binary() if pa.types.is_string(kind) else pa.large_binary())
        return np.array([text is not None and not _decodes(text) for text in texts.to_pylist()], dtype=bool)
    return None


def display_names(column: Any, name: str) -> Any:
    """A column of display names as texts, "" for null. Raises DataError for lists and other nested types."""
    odd = DataError(f"the column {name!r} has the type {column.type}, but a name must be a text or a number")
    if pa.types.is_nested(column.type):
        raise odd
    with decoding(lambda why: odd):
        return pc.fill_null(pc.cast(column, pa.string()), "")


def is_list(kind: Any) -> bool:
    """Whether a type is a list of any kind."""
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    )


def _simplify_list(column: Any) -> Any:
    if pa.types.is_list(column.type) and simplify(column.values[:0]).type == column.type.value_type:
        return column
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, simplify(column.flatten()), mask=column.is_null())


def _is_ascii(column: Any) -> bool:
    """Whether all texts are ASCII; much faster than checking each of them."""
    _, offsets, texts = column.buffers()
    width = np.int32 if pa.types.is_string(column.type) else np.int64
    ends = np.frombuffer(offsets, dtype=width)[column.offset : column.offset + len(column) + 1]
    if texts is None or ends[-1] == ends[0]:
        return True
    return bool(np.frombuffer(texts, dtype=np.int8)[ends[0] : ends[-1]].min() >= 0)


def _decodes(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
