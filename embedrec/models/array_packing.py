"""Arrays, which are all that a model keeps beside its vocabulary: ids among them, and checked shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.models.base import Arrays

if TYPE_CHECKING:
    pass


from embedrec.data.offsets import check_offsets
from embedrec.data.vocab import Ids
from embedrec.errors import DataError


def packed_ids(ids: Ids, what: str) -> dict[str, np.ndarray]:
    """Arrays "WHAT_ids" (m,) int64 of whole numbers; of texts "WHAT_letters", UTF-8, and "WHAT_offsets" (m+1,)."""
    if ids.dtype != object:
        return {f"{what}_ids": ids.astype(np.int64)}
    texts = [text.encode("utf-8", "surrogatepass") for text in ids.tolist()]
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in texts], dtype=np.int64)])
    return {f"{what}_letters": np.frombuffer(b"".join(texts), dtype=np.uint8), f"{what}_offsets": offsets}


def unpacked_ids(arrays: Arrays, what: str) -> Vocab:
    """What was packed. Raises DataError when the arrays do not fit together."""
    if f"{what}_ids" in arrays:
        return Vocab(np.asarray(arrays[f"{what}_ids"]))
    letters, offsets = arrays[f"{what}_letters"].tobytes(), arrays[f"{what}_offsets"]
    check_offsets(offsets, len(letters), f"the ids of a model ({what})", "letters")
    bounds = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    texts = [letters[start:stop].decode("utf-8", "surrogatepass") for start, stop in bounds]
    return Vocab(np.array(texts, dtype=object) if texts else np.zeros(0, dtype=object))


def rows_of(arrays: Arrays, name: str, n: int, model: str) -> np.ndarray:
    """The array of that name of a `model`: (n, d) float32 of any d above 0. Raises DataError when it is another."""
    there = arrays[name].shape if name in arrays else ()
    return shaped(arrays, name, (n, there[1] if len(there) == 2 and there[1] else 1), model)


def shaped(arrays: Arrays, name: str, shape: tuple[int, ...], model: str, dtype: str = "float32") -> np.ndarray:
    """The array of that name of a `model`, which has this shape and type.

    Raises DataError when it is missing or has others.
    """
    if name not in arrays or arrays[name].shape != shape:
        there = arrays[name].shape if name in arrays else "missing"
        raise DataError(f"{name} of a {model} model must have shape {shape}, but is {there}")
    if arrays[name].dtype != dtype:
        raise DataError(f"{name} of a {model} model must be {dtype}, but is {arrays[name].dtype}")
    return arrays[name]


def locked(array: np.ndarray) -> Any:
    """The array so that nothing can be written into it, whatever it was: compiled code then has one form."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
