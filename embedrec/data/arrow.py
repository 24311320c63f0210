"""Ids between NumPy and Arrow.

pyarrow imports pandas, a third of a second, to convert arrays of objects; lists do without.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embedrec.data.vocab import Ids
from embedrec.errors import DataError

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
