"""Offsets: where each of m lists begins in one long array, and where the last one ends."""

from __future__ import annotations

import numpy as np

from embedrec.errors import DataError


def check_offsets(offsets: np.ndarray, total: int, lists: str, parts: str) -> None:
    """Raises DataError unless offsets (m+1,) ascend from 0 to `total`; `lists` and their `parts` are for the message.

    Neighbours are compared, and not subtracted: differences of int64 that come from a file can overflow, and kernels
    would read far outside.
    """
    ends = offsets.ndim == 1 and len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == total
    if not ends or (offsets[1:] < offsets[:-1]).any():
        raise DataError(f"offsets of {lists} must ascend from 0 to the number of {parts}")
