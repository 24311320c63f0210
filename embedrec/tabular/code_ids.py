"""Ids of a column that arrives in batches, coded as rows in the order of first appearance."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedrec.data.vocab import POINT_ZERO, WHOLE
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget, chunks, release_pages

IdType = Literal["auto", "text", "number"]

DICT_IDS = 1 << 18  # ids to code with Arrow, 0.1 s; beyond them, compiled hash tables are worth their start of 0.7 s
_SHORT = 64  # bytes; a longer id counts as several
_RESTING = 8  # texts above this fraction of the budget (1/8) leave memory between batches
INITIAL_SLOTS = 1 << 18  # of a table at first
_WRITTEN_WHOLE = WHOLE.replace("$", r"(\.0+)?$")


class Ids:
    """A growing vocabulary. The id of a value depends on that value alone: "5.0", as float columns write whole numbers,
    is "5", and 5 and "5" are the same id.

    many    whether many ids are expected; compiled kernels are then used at once
    kind    "text" keeps every text unchanged; "number" and "auto": see `final`
    role    what the ids identify, for messages
    memory  budget and location of the tables; it accounts for the final size of the ids
    """

    def __init__(
        self, *, many: bool = False, kind: IdType = "auto", role: str = "session", memory: MemoryBudget = IN_MEMORY
    ) -> None:
        self.kind = kind
        self.role = role
        self.memory = memory
        self.whole = kind != "text"  # whether all may become whole numbers, which take less memory
        self.left = 0 if many else DICT_IDS
        self.texts = False  # whether the data types an id as text
        self.table: DictTable | NumberTable | TextTable = DictTable()

    def rows(self, column: Any, *, texts: bool = False) -> np.ndarray:
        """Ids (b,) of int64, string or large_string, none of them null → rows (b,) int32.

        texts  whether the data types them as text, as in a typed format

        Raises DataError for ids that exceed the memory budget.
        """
        if texts and len(column) and self.kind != "number":
            self.texts, self.whole = True, False
        known = self.table.size()[0]
        rows = self._rows(column)
        if self.memory.budget is not None:
            count, texts_bytes = self.table.size()
            if self.whole and texts_bytes is not None:
                new = self.table.ids()[known:]
                self.whole = pc.all(pc.match_substring_regex(new, _WRITTEN_WHOLE)).as_py()
            self.memory.hold_ids(self.role, count, None if self.whole else texts_bytes)
            if isinstance(self.table, TextTable) and (texts_bytes or 0) > self.memory.budget // _RESTING:
                release_pages(self.table.known)
        return rows

    def _rows(self, column: Any) -> np.ndarray:
        if not len(column):
            return np.empty(0, dtype=np.int32)
        numeric = pa.types.is_int64(column.type) and self.table.numeric is not False
        if not numeric:
            column = pc.cast(column, pa.large_string())
            if self.table.numeric:
                self.table = self.table.of_texts(self.memory)
        if isinstance(self.table, DictTable):
            if self.left:
                encoded = column.dictionary_encode()
                distinct = encoded.dictionary
                self.left = max(0, self.left - max(len(distinct), distinct.nbytes // _SHORT))
            if self.left:
                self.table.numeric = numeric
                return self.table.rows(encoded)
            self.table = _compiled(self.table.ids(), self.memory, numeric=numeric)
        return self.table.rows(column)

    def final(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Distinct ids, int64 or object array of str, and the final row of every row; None if rows do not change.

        Ids are int64 if all are whole numbers and the data does not type them as text.
        """
        ids, compiled = self.table.ids(), not isinstance(self.table, DictTable)
        self.table = DictTable()
        if pa.types.is_int64(ids.type):
            return (_numpy(ids), None) if self.kind != "text" else (_numpy(pc.cast(ids, pa.string())), None)
        if self.kind == "text":
            return _numpy(ids), None
        whole = None if self.texts else _as_whole_numbers(ids, self.memory)
        if not _any_point_zero(ids):
            return (_numpy(ids) if whole is None else whole), None
        table: DictTable | NumberTable | TextTable = DictTable()
        if compiled:
            table = _compiled(pa.array([], pa.int64()), self.memory, numeric=whole is not None)
        else:
            table.numeric = whole is not None
        rows = self.memory.empty(len(ids), np.int32)
        for chunk in chunks(len(ids)):  # "12" and "12.0" are the same id
            part = without_point_zero(ids[chunk]) if whole is None else pa.array(whole[chunk])
            rows[chunk] = table.rows(part.dictionary_encode() if isinstance(table, DictTable) else part)
        return _numpy(table.ids()), rows


def start_kernels(numeric: bool) -> None:
    """Load the compiled kernels for ids, 0.6 s."""
    Ids(many=True).rows(pa.array([0]) if numeric else pa.array(["0"]))


def without_point_zero(texts: Any) -> Any:
    """Texts with whole numbers normalized, "12" for "12.0"; the same array if there are none."""
    if not pc.any(pc.match_substring(texts, ".0")).as_py():
        return texts
    return pc.replace_substring_regex(texts, POINT_ZERO, r"\1")


def _any_point_zero(texts: Any) -> bool:
    """Whether a text is a whole number as float columns write it, "12.0"."""
    return bool(
        pc.any(pc.match_substring(texts, ".0")).as_py() and pc.any(pc.match_substring_regex(texts, POINT_ZERO)).as_py()
    )


def _as_whole_numbers(texts: Any, memory: MemoryBudget) -> np.ndarray | None:
    """Texts as int64 if all are whole numbers ("12", or "12.0" as float columns write it), else None."""
    numbers = memory.empty(len(texts), np.int64)
    for chunk in chunks(len(texts)):
        if not pc.all(pc.match_substring_regex(texts[chunk], _WRITTEN_WHOLE)).as_py():
            return None
        try:
            numbers[chunk] = pc.cast(without_point_zero(texts[chunk]), pa.int64()).to_numpy()
        except pa.ArrowInvalid:  # beyond 64 bits
            return None
    return numbers


def _compiled(ids: Any, memory: MemoryBudget, *, numeric: bool) -> NumberTable | TextTable:
    table = NumberTable(memory) if numeric else TextTable(memory)
    if len(ids):
        table.rows(ids)
    return table


class DictTable:
    """Few ids, in an Arrow array, which is hashed again for every batch."""

    def __init__(self) -> None:
        self.known: Any = None  # (n,) distinct ids; None before the first
        self.numeric: bool | None = None  # None before the first id

    def rows(self, encoded: Any) -> np.ndarray:
        indices = np.from_dlpack(encoded.indices)  # `to_numpy` and `fill_null` would import pandas
        if self.known is None:
            self.known = encoded.dictionary
            return np.asarray(indices, dtype=np.int32)
        known = pc.index_in(encoded.dictionary, value_set=self.known)
        count = known.null_count
        if not count:
            return np.from_dlpack(known)[indices]
        rows = np.full(len(known), -1, dtype=np.int32)  # (distinct,)
        rows[np.from_dlpack(pc.indices_nonzero(known.is_valid()))] = np.from_dlpack(known.drop_null())
        rows[rows < 0] = np.arange(len(self.known), len(self.known) + count)
        self.known = pa.concat_arrays([self.known, encoded.dictionary.filter(known.is_null())])
        return rows[indices]

    def ids(self) -> Any:
        if self.known is None:
            return pa.array([], pa.large_string() if self.numeric is False else pa.int64())
        return self.known

    def size(self) -> tuple[int, int | None]:
        """Number of ids, and the bytes of their texts if they are many; None for numbers."""
        return 0 if self.known is None else len(self.known), None

    def of_texts(self, _: MemoryBudget) -> DictTable:
        table = DictTable()
        table.numeric, table.known = False, pc.cast(self.ids(), pa.large_string())
        return table


class NumberTable:
    """Many int64 ids."""

    numeric = True

    def __init__(self, memory: MemoryBudget) -> None:
        self.n = 0
        self.memory = memory
        self.slots = memory.full(INITIAL_SLOTS, -1, np.int32)
        self.known = memory.empty(INITIAL_SLOTS // 2, np.int64)  # (≥ n,)

    def rows(self, column: Any) -> np.ndarray:
        from embedrec.kernels.id_hash_table import code_numbers, fill_numbers

        ids = column.to_numpy()
        rows = np.empty(len(ids), dtype=np.int32)
        done = 0
        while True:
            done, self.n = code_numbers(ids, done, rows, self.slots, self.known, self.n)
            if done == len(ids):
                return rows
            self.slots = self.memory.full(2 * len(self.slots), -1, np.int32)
            self.known = self.memory.doubled(self.known)
            fill_numbers(self.slots, self.known[: self.n])

    def ids(self) -> Any:
        return pa.array(self.known[: self.n])

    def size(self) -> tuple[int, int | None]:
        return self.n, None

    def of_texts(self, memory: MemoryBudget) -> TextTable:
        table = TextTable(memory)
        for chunk in chunks(self.n):
            table.rows(pc.cast(pa.array(self.known[: self.n][chunk]), pa.large_string()))
        return table


class TextTable:
    """Many text ids."""

    numeric = False

    def __init__(self, memory: MemoryBudget) -> None:
        self.n = 0
        self.memory = memory
        self.slots = memory.full(INITIAL_SLOTS, -1, np.int32)
        self.hashes = memory.empty(INITIAL_SLOTS // 2, np.uint64)  # (≥ n,)
        self.ends = memory.full(INITIAL_SLOTS // 2 + 1, 0, np.int64)  # (≥ n + 1,) text r is known[ends[r]:ends[r + 1]]
        self.known = memory.empty(1 << 20, np.uint8)

    def rows(self, column: Any) -> np.ndarray:
        from embedrec.kernels.id_hash_table import code_texts, fill_hashed

        _, offsets, texts = column.buffers()
        offsets = np.frombuffer(offsets, dtype=np.int64)[column.offset : column.offset + len(column) + 1]
        texts = np.frombuffer(texts or b"", dtype=np.uint8)
        while self.ends[self.n] + offsets[-1] - offsets[0] > len(self.known):
            self.known = self.memory.doubled(self.known)
        rows = np.empty(len(column), dtype=np.int32)
        done = 0
        while True:
            done, self.n = code_texts(
                texts, offsets, done, rows, self.slots, self.hashes, self.ends, self.known, self.n
            )
            if done == len(rows):
                return rows
            self.slots = self.memory.full(2 * len(self.slots), -1, np.int32)
            self.hashes, self.ends = self.memory.doubled(self.hashes), self.memory.doubled(self.ends)
            fill_hashed(self.slots, self.hashes[: self.n])

    def ids(self) -> Any:
        buffers = (pa.py_buffer(part) for part in (self.ends, self.known))
        return pa.LargeStringArray.from_buffers(self.n, *buffers)

    def size(self) -> tuple[int, int | None]:
        return self.n, int(self.ends[self.n])

    def of_texts(self, _: MemoryBudget) -> TextTable:
        return self


def _numpy(ids: Any) -> np.ndarray:
    from embedrec.data.parquet_io import from_arrow

    return from_arrow(ids)
