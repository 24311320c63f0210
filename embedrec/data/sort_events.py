"""Sort columns of events by session and time, in parts that fit into a core's cache."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from embedrec.storage.memory_budget import MemoryBudget, chunks

KERNEL_EVENTS = 1 << 21  # events from which compiled kernels are faster, including their start of 0.7 s
PART_EVENTS = 1 << 16  # events of a part: its columns stay in a core's cache while they are sorted
BLOCK_BITS = 14  # sessions are divided into at most 2^14 blocks
_PARTS = 1 << 10  # most parts, which are written to in turn

Columns = dict[str, np.ndarray]  # role → (E,); "session" is always there


def sort_events(columns: Columns, sessions: int, key: str | None, memory: MemoryBudget, threads: int = 1) -> Columns:
    """The columns sorted by session and, within a session, by the column `key`; the sort is stable.

    columns   role → (E,), session int32; the dict is emptied, to free memory early
    sessions  number of sessions
    key       role of a numeric column, or None
    """
    session = columns["session"]
    if _is_sorted(session, columns[key] if key else None):
        return columns
    if len(session) < KERNEL_EVENTS:
        order = np.lexsort([columns[key], session] if key else [session])
        return {role: column[order] for role, column in columns.items()}
    return _sort_parts(columns, sessions, key, memory, threads)


def sort_finer(columns: Columns, finer: np.ndarray, sessions: int, memory: MemoryBudget, threads: int = 1) -> Columns:
    """The columns sorted by session, "time" and, for equal times, `finer`; the sort is stable.

    finer  (E,) int32 from 0 to 999,999: nanoseconds within the millisecond of each time
    """
    time = columns["time"]
    first, last = int(time.min()), int(time.max())
    # the finest step at which the whole range fits into 64 bits: 292 years in nanoseconds
    step = next(step for step in (1, 1_000, 1_000_000) if (last - first + 1) * (1_000_000 // step) < 2**63)
    exact = memory.empty(len(time), np.int64)
    for chunk in chunks(len(time)):
        exact[chunk] = (time[chunk] - first) * (1_000_000 // step) + finer[chunk] // step
    columns["time"] = exact
    result = sort_events(columns, sessions, "time", memory, threads)
    time = memory.empty(len(exact), np.int64)
    for chunk in chunks(len(time)):
        time[chunk] = result["time"][chunk] // (1_000_000 // step) + first
    return {**result, "time": time}


def _is_sorted(session: np.ndarray, key: np.ndarray | None) -> bool:
    """Whether the columns are sorted, as logs often are."""
    for chunk in chunks(len(session)):
        pairs = slice(max(chunk.start - 1, 0), chunk.stop)  # with the previous event
        steps = np.diff(session[pairs])
        if (steps < 0).any() or (key is not None and (np.diff(key[pairs])[steps == 0] < 0).any()):
            return False
    return True


def _sort_parts(columns: Columns, sessions: int, key: str | None, memory: MemoryBudget, threads: int) -> Columns:
    from embedrec.kernels import sort_events as kernels

    session = columns.pop("session")
    lengths = np.zeros(sessions, dtype=np.int64)
    kernels.count(session, lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])  # (S+1,)
    shift = max(0, sessions.bit_length() - BLOCK_BITS)
    cuts = _cuts(
        offsets[np.append(np.arange(0, sessions, 1 << shift), sessions)], max(PART_EVENTS, len(session) // _PARTS)
    )
    part = np.repeat(np.arange(len(cuts) - 1, dtype=np.int16), np.diff(cuts))  # of each block
    bounds = [min(block << shift, sessions) for block in cuts]
    result: Columns = {}

    def sort(first: int, last: int) -> None:
        chunk = slice(offsets[first], offsets[last])
        inside = offsets[first : last + 1] - offsets[first]
        order = np.empty(chunk.stop - chunk.start, dtype=np.int32)
        kernels.sort_part(result["session"][chunk], first, inside, order)
        if key:
            kernels.sort_sessions(result[key][chunk], inside, order)
        for role in roles:
            result[role][chunk] = result[role][chunk][order]
        result["session"][chunk] = np.repeat(np.arange(first, last, dtype=np.int32), lengths[first:last])

    with ThreadPoolExecutor(threads) as pool:
        roles = list(columns)
        running = []
        for role, column in (("session", session), *((role, columns.pop(role)) for role in roles)):
            result[role] = memory.empty(len(column), column.dtype)
            starts = offsets[bounds[:-1]]
            running.append(pool.submit(kernels.scatter, session, shift, part, starts, column, result[role]))
        while running:
            running.pop(0).result()
        del session, column
        list(pool.map(sort, bounds[:-1], bounds[1:]))
    return result


def _cuts(offsets: np.ndarray, most: int) -> list[int]:
    """Boundaries that group blocks of sessions into parts of at most `most` events, or of one block."""
    cuts = [0]
    while cuts[-1] < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[cuts[-1]] + most, side="right")) - 1
        cuts.append(max(last, cuts[-1] + 1))
    return cuts
