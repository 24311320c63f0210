"""Arrays, which are all that a model keeps beside its vocabulary: ids among them, and checked shapes."""

from __future__ import annotations

import numpy as np

from embedrec.data.vocab import Ids, Vocab
from embedrec.errors import DataError
from embedrec.models.base import Arrays


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
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(letters) or (np.diff(offsets) < 0).any():
        raise DataError(f"the ids of a model ({what}) are not complete")
    bounds = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    texts = [letters[start:stop].decode("utf-8", "surrogatepass") for start, stop in bounds]
    return Vocab(np.array(texts, dtype=object) if texts else np.zeros(0, dtype=object))


def shaped(arrays: Arrays, name: str, shape: tuple[int, ...], model: str) -> np.ndarray:
    """The array of that name of a `model`, which has this shape. Raises DataError when it is missing or has another."""
    if name not in arrays or arrays[name].shape != shape:
        there = arrays[name].shape if name in arrays else "missing"
        raise DataError(f"{name} of a {model} model must have shape {shape}, but is {there}")
    return arrays[name]
