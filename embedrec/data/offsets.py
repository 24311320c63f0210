"""Offsets of m lists in one flat array: where each begins, and where the last one ends."""

from __future__ import annotations

import numpy as np

from embedrec.errors import DataError


def check_offsets(offsets: np.ndarray, total: int, lists: str, parts: str) -> None:
    """Raises DataError unless offsets (m+1,) ascend from 0 to `total`; the message names `lists` and their `parts`.

    Adjacent offsets are compared, not subtracted: differences of int64 values from a file can overflow, and kernels
    would then read out of bounds.
    """
    ends = offsets.ndim == 1 and len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == total
    if not ends or (offsets[1:] < offsets[:-1]).any():
        raise DataError(f"offsets of {lists} must ascend from 0 to the number of {parts}")
