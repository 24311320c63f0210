"""Random initial vectors of items, by their ids: those of an item are the same in every training with a seed."""

from __future__ import annotations

import hashlib

import numpy as np


def vectors_of_ids(ids: np.ndarray, dim: int, deviation: float, seed: int) -> np.ndarray:
    """Random vectors (n, dim) float32 of ids (n,), of mean 0 and this standard deviation; equal for equal ids.

    The number 5 and the string "5" are the same id.
    """
    from embedrec.kernels.vectors_of_ids import fill

    hashes = b"".join(hashlib.blake2b(str(i).encode(), digest_size=8).digest() for i in ids.tolist())
    vectors = np.empty((len(ids), dim), dtype=np.float32)
    fill(np.frombuffer(hashes, dtype="<u8"), seed, deviation, vectors)
    return vectors
