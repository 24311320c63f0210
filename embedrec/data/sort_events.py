"""Events sorted by session and time, part by part."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from embedrec.storage.memory_budget import MemoryBudget, chunks

_MANY = 1 << 21  # events for which compiled kernels are worth their start of 0.7 s
_PART = 1 << 16  # events of a part: its columns stay in a core's cache while they are sorted
_BLOCK_BITS = 14  # sessions come in at most 2^14 blocks
_PARTS = 1 << 10  # at most: so many places are written to in turn

Columns = dict[str, np.ndarray]  # role → (E,); "session" is always there


def sort_events(columns: Columns, sessions: int, key: str | None, room: MemoryBudget, threads: int = 1) -> Columns:
    """The columns sorted by session and, inside a session, by the column `key`; equals keep their order.

    columns   role → (E,), session int32; emptied, so that memory is free as soon as it can be
    sessions  how many there are; their rows go from 0
    key       role of numbers, or None
    """
    session = columns["session"]
    if _is_sorted(session, columns[key] if key else None):
        return columns
    if len(session) < _MANY:
        order = np.lexsort([columns[key], session] if key else [session])
        return {role: column[order] for role, column in columns.items()}
    return _sort_parts(columns, sessions, key, room, threads)


def sort_finer(columns: Columns, finer: np.ndarray, sessions: int, room: MemoryBudget, threads: int = 1) -> Columns:
    """The columns sorted by session, "time" and, where that is equal, `finer`; equals keep their order.

    finer  (E,) int32 from 0 to 999,999: nanoseconds inside of the millisecond of each time
    """
    time = columns["time"]
    first, last = int(time.min()), int(time.max())
    # as fine as 64 bits allow over the time from the first to the last: 292 years in nanoseconds
    step = next(step for step in (1, 1_000, 1_000_000) if (last - first + 1) * (1_000_000 // step) < 2**63)
    exact = room.empty(len(time), np.int64)
    for chunk in chunks(len(time)):
        exact[chunk] = (time[chunk] - first) * (1_000_000 // step) + finer[chunk] // step
    columns["time"] = exact
    done = sort_events(columns, sessions, "time", room, threads)
    time = room.empty(len(exact), np.int64)
    for chunk in chunks(len(time)):
        time[chunk] = done["time"][chunk] // (1_000_000 // step) + first
    return {**done, "time": time}


def _is_sorted(session: np.ndarray, key: np.ndarray | None) -> bool:
    """Logs are often sorted already."""
    for chunk in chunks(len(session)):
        two = slice(max(chunk.start - 1, 0), chunk.stop)
        steps = np.diff(session[two])
        if (steps < 0).any() or (key is not None and (np.diff(key[two])[steps == 0] < 0).any()):
            return False
    return True


def _sort_parts(columns: Columns, sessions: int, key: str | None, room: MemoryBudget, threads: int) -> Columns:
    from embedrec.kernels import sort_events as ordering

    session = columns.pop("session")
    lengths = np.zeros(sessions, dtype=np.int64)
    ordering.count(session, lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])  # (S+1,)
    shift = max(0, sessions.bit_length() - _BLOCK_BITS)
    cuts = _cuts(offsets[np.append(np.arange(0, sessions, 1 << shift), sessions)], max(_PART, len(session) // _PARTS))
    part = np.repeat(np.arange(len(cuts) - 1, dtype=np.int16), np.diff(cuts))  # of each block
    bounds = [min(block << shift, sessions) for block in cuts]
    done: Columns = {}

    def sort(first: int, last: int) -> None:
        chunk = slice(offsets[first], offsets[last])
        inside = offsets[first : last + 1] - offsets[first]
        order = np.empty(chunk.stop - chunk.start, dtype=np.int32)
        ordering.sort_part(done["session"][chunk], first, inside, order)
        if key:
            ordering.sort_sessions(done[key][chunk], inside, order)
        for role in roles:
            done[role][chunk] = done[role][chunk][order]
        done["session"][chunk] = np.repeat(np.arange(first, last, dtype=np.int32), lengths[first:last])

    with ThreadPoolExecutor(threads) as pool:
        roles = list(columns)
        running = []
        for role, column in (("session", session), *((role, columns.pop(role)) for role in roles)):
            done[role] = room.empty(len(column), column.dtype)
            starts = offsets[bounds[:-1]]
            running.append(pool.submit(ordering.scatter, session, shift, part, starts, column, done[role]))
        while running:
            running.pop(0).result()
        del session, column
        list(pool.map(sort, bounds[:-1], bounds[1:]))
    return done


def _cuts(offsets: np.ndarray, most: int) -> list[int]:
    """Where to cut blocks of sessions into parts of at most `most` events each, or of one block."""
    cuts = [0]
    while cuts[-1] < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[cuts[-1]] + most, side="right")) - 1
        cuts.append(max(last, cuts[-1] + 1))
    return cuts
