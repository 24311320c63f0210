"""Arrays of saved models: ids packed into arrays, checks of shape and type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from embedrec.data.offsets import check_offsets
from embedrec.data.vocab import Ids, Vocab
from embedrec.errors import DataError
from embedrec.models.base import Arrays


def pack_ids(ids: Ids, what: str) -> dict[str, np.ndarray]:
    """Arrays "WHAT_ids" (m,) int64 for integers; for texts "WHAT_letters", UTF-8, and "WHAT_offsets" (m+1,)."""
    if ids.dtype != object:
        return {f"{what}_ids": ids.astype(np.int64)}
    texts = [text.encode("utf-8", "surrogatepass") for text in ids.tolist()]
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in texts], dtype=np.int64)])
    return {f"{what}_letters": np.frombuffer(b"".join(texts), dtype=np.uint8), f"{what}_offsets": offsets}


def unpack_ids(arrays: Arrays, what: str) -> Vocab:
    """The vocabulary of packed ids. Raises DataError when the arrays do not fit together."""
    if f"{what}_ids" in arrays:
        return Vocab(np.asarray(arrays[f"{what}_ids"]))
    letters, offsets = arrays[f"{what}_letters"].tobytes(), arrays[f"{what}_offsets"]
    check_offsets(offsets, len(letters), f"the ids of a model ({what})", "letters")
    bounds = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    texts = [letters[start:stop].decode("utf-8", "surrogatepass") for start, stop in bounds]
    return Vocab(np.array(texts, dtype=object) if texts else np.zeros(0, dtype=object))


def names_or_empty(vocab: Vocab) -> np.ndarray:
    """Display names (n,), empty strings when the vocabulary has none."""
    return np.full(len(vocab), "", dtype=object) if vocab.names is None else vocab.names


def rows_of(arrays: Arrays, name: str, n: int, model: str) -> np.ndarray:
    """An array of a `model`: (n, d) float32 with any d above 0. Raises DataError when shape or type differ."""
    shape = arrays[name].shape if name in arrays else ()
    return shaped(arrays, name, (n, shape[1] if len(shape) == 2 and shape[1] else 1), model)


def shaped(arrays: Arrays, name: str, shape: tuple[int, ...], model: str, dtype: str = "float32") -> np.ndarray:
    """An array of a `model`, checked for shape and type.

    Raises DataError when it is missing or differs.
    """
    if name not in arrays or arrays[name].shape != shape:
        given = arrays[name].shape if name in arrays else "missing"
        raise DataError(f"{name} of a {model} model must have shape {shape}, but is {given}")
    if arrays[name].dtype != dtype:
        raise DataError(f"{name} of a {model} model must be {dtype}, but is {arrays[name].dtype}")
    return arrays[name]


def check_optional(arrays: Arrays, shapes: Mapping[str, tuple[int, ...]], model: str) -> None:
    """Raises DataError for float32 arrays that do not fit, see `shaped`; models of earlier versions lack them."""
    for name in shapes.keys() & arrays.keys():
        shaped(arrays, name, shapes[name], model)


def locked(array: np.ndarray) -> Any:
    """A read-only, contiguous view: kernels are compiled for one array type only."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
