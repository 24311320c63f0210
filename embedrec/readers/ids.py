"""Ids of a column that comes in batches, as rows: numbered by first appearance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedrec.readers import values

_FEW = 1 << 18  # ids that are looked up in a dict, 0.3 s; with more, compiled tables are worth their start of 0.7 s
_SLOTS = 1 << 18  # of a table at first


class Ids:
    """A vocabulary that grows. Ids of int64 and of texts in one column are texts, all of them.

    typed  False for a format without types, whose texts are whole numbers if all of them look so
    many   whether many ids are expected, for which compiled kernels are started at once
    """

    def __init__(self, *, typed: bool, many: bool = False) -> None:
        self.typed = typed
        self.left = 0 if many else _FEW
        self.table: _Dict | _Numbers | _Texts = _Dict()

    def rows(self, column: Any) -> np.ndarray:
        """Ids (b,) of int64, string or large_string, none of them null → rows (b,) int32."""
        if not len(column):
            return np.empty(0, dtype=np.int32)
        numeric = pa.types.is_int64(column.type) and self.table.numeric is not False
        if not numeric:
            column = pc.cast(column, pa.large_string())
            if self.table.numeric:
                self.table = self.table.of_texts()
        if isinstance(self.table, _Dict):
            if self.left:
                encoded = column.dictionary_encode()
                self.left = max(0, self.left - len(encoded.dictionary))
            if self.left:
                self.table.numeric = numeric
                return self.table.rows(encoded)
            self.table = _compiled(self.table.ids(), numeric=numeric)
        return self.table.rows(column)

    def final(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Distinct ids, int64 or object array of str, and for every row its final row; None where rows stay."""
        ids = self.table.ids()
        self.table = _Dict()
        if self.typed or pa.types.is_int64(ids.type):
            return _numpy(ids), None
        encoded = whole_or_text(ids).dictionary_encode()  # "12" and "12.0" are one
        return _numpy(encoded.dictionary), encoded.indices.to_numpy()


def start_kernels(numeric: bool) -> None:
    """Load what is compiled for ids, 0.6 s."""
    Ids(typed=True, many=True).rows(pa.array([0]) if numeric else pa.array(["0"]))


def whole_or_text(texts: Any) -> Any:
    """Texts as int64 where all are whole numbers ("12"; "12.0" too, as float columns are written), else as they are."""
    whole = pc.replace_substring_regex(texts, r"\.0+$", "")
    if pc.all(pc.match_substring_regex(whole, values.WHOLE)).as_py():
        try:
            return pc.cast(whole, pa.int64())
        except pa.ArrowInvalid:  # beyond 64 bits
            return texts
    return texts


def _compiled(ids: Any, *, numeric: bool) -> _Numbers | _Texts:
    table = _Numbers() if numeric else _Texts()
    if len(ids):
        table.rows(ids)
    return table


class _Dict:
    """Few ids: nothing is compiled."""

    def __init__(self) -> None:
        self.row_of: dict[Any, int] = {}
        self.numeric: bool | None = None  # not known before the first id

    def rows(self, encoded: Any) -> np.ndarray:
        row_of = self.row_of
        distinct = [row_of.setdefault(i, len(row_of)) for i in encoded.dictionary.to_pylist()]
        return np.array(distinct, dtype=np.int32)[encoded.indices.to_numpy()]

    def ids(self) -> Any:
        return pa.array(list(self.row_of), pa.large_string() if self.numeric is False else pa.int64())

    def of_texts(self) -> _Dict:
        table = _Dict()
        table.numeric, table.row_of = False, {str(number): row for number, row in self.row_of.items()}
        return table


class _Numbers:
    """Many ids of int64."""

    numeric = True

    def __init__(self) -> None:
        self.n = 0
        self.slots = np.full(_SLOTS, -1, dtype=np.int32)
        self.known = np.empty(_SLOTS // 2, dtype=np.int64)  # (≥ n,)

    def rows(self, column: Any) -> np.ndarray:
        from embedrec.kernels.coding import code_numbers, fill_numbers

        ids = column.to_numpy()
        rows = np.empty(len(ids), dtype=np.int32)
        done = 0
        while True:
            done, self.n = code_numbers(ids, done, rows, self.slots, self.known, self.n)
            if done == len(ids):
                return rows
            self.slots = np.full(2 * len(self.slots), -1, dtype=np.int32)
            self.known = _doubled(self.known)
            fill_numbers(self.slots, self.known[: self.n])

    def ids(self) -> Any:
        return pa.array(self.known[: self.n])

    def of_texts(self) -> _Texts:
        table = _Texts()
        table.rows(pc.cast(self.ids(), pa.large_string()))
        return table


class _Texts:
    """Many ids that are texts."""

    numeric = False

    def __init__(self) -> None:
        self.n = 0
        self.slots = np.full(_SLOTS, -1, dtype=np.int32)
        self.hashes = np.empty(_SLOTS // 2, dtype=np.uint64)  # (≥ n,)
        self.ends = np.zeros(_SLOTS // 2 + 1, dtype=np.int64)  # (≥ n + 1,) text r is known[ends[r]:ends[r + 1]]
        self.known = np.empty(1 << 20, dtype=np.uint8)

    def rows(self, column: Any) -> np.ndarray:
        from embedrec.kernels.coding import code_texts, fill_hashed

        _, offsets, texts = column.buffers()
        offsets = np.frombuffer(offsets, dtype=np.int64)[column.offset : column.offset + len(column) + 1]
        texts = np.frombuffer(texts or b"", dtype=np.uint8)
        while self.ends[self.n] + offsets[-1] - offsets[0] > len(self.known):
            self.known = _doubled(self.known)
        rows = np.empty(len(column), dtype=np.int32)
        done = 0
        while True:
            done, self.n = code_texts(
                texts, offsets, done, rows, self.slots, self.hashes, self.ends, self.known, self.n
            )
            if done == len(rows):
                return rows
            self.slots = np.full(2 * len(self.slots), -1, dtype=np.int32)
            self.hashes, self.ends = _doubled(self.hashes), _doubled(self.ends)
            fill_hashed(self.slots, self.hashes[: self.n])

    def ids(self) -> Any:
        buffers = (pa.py_buffer(part) for part in (self.ends, self.known))
        return pa.LargeStringArray.from_buffers(self.n, *buffers)

    def of_texts(self) -> _Texts:
        return self


def _doubled(array: np.ndarray) -> np.ndarray:
    longer = np.empty(2 * len(array), dtype=array.dtype)
    longer[: len(array)] = array
    return longer


def _numpy(ids: Any) -> np.ndarray:
    from embedrec.data.arrow import from_arrow

    return from_arrow(ids)
