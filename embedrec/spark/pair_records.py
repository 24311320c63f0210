"""Records of sessions for counting item pairs in parts: what a task reads, sends to the parts, and builds from them.

A part counts the pairs of some items. It receives all sessions of its items, each with all its mentions, so that
nothing but sessions is shuffled, and counts them by the kernels of one machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from embedrec.models.array_packing import locked
from embedrec.models.pair_counts import NO_NUMBERS
from embedrec.spark.sessions_frame import mapped

if TYPE_CHECKING:
    from embedrec.kernels.pair_counts import Mentions

RECORD_SCHEMA = "part int, session long, place int, own int, count int, weight double, items binary, times binary"
PIECE = 1 << 14  # mentions of a session that are sent at once, where pairs have a largest distance
_BATCH = 1 << 22  # mentions in a record batch


@dataclass(frozen=True, eq=False)
class PairRules:
    """Which mentions of a session are paired, and how; see `Mentions` for back, itself and gap.

    once     whether an item counts once a session, at its first mention
    repeats  whether a pair then counts as often as its mentions
    window   largest distance; 0 for the whole session
    gap      (window + 1,) float64 weights of the distances; (0,) for 1
    """

    once: bool
    window: int
    repeats: bool = False
    back: bool = True
    itself: bool = False
    gap: np.ndarray = field(default_factory=lambda: NO_NUMBERS)


class SessionBlock(NamedTuple):
    """Some sessions, after the rules: offsets (s+1,) int64; items int32; times int32 or (0,); numbers (s,) int64."""

    offsets: np.ndarray
    items: np.ndarray
    times: np.ndarray
    numbers: np.ndarray


class Pieces(NamedTuple):
    """Pieces of sessions (p,): mentions starts … ends − 1, with their surroundings begins … stops − 1.

    session  place of the session in its block
    """

    starts: np.ndarray
    ends: np.ndarray
    begins: np.ndarray
    stops: np.ndarray
    session: np.ndarray


class Routes(NamedTuple):
    """Where pieces are sent: `part_of` (n,) int32 range of an item; `bases`, `salts` of ranges; see `route_pieces`."""

    part_of: np.ndarray
    bases: np.ndarray
    salts: np.ndarray


def read_block(
    folder: str, part: str, start: int, stop: int, rules: PairRules, new: np.ndarray, n: int
) -> SessionBlock:
    """The sessions of an artifact whose first events are start … stop − 1, in a task.

    new  (items of the vocabulary,) int32 row below n of each item; −1 for dropped items
    """
    from embedrec.kernels.pair_counts import count_repeats, first_mentions

    offsets, items = mapped(folder, f"{part}offsets"), mapped(folder, f"{part}items")
    first, last = np.searchsorted(offsets[:-1], [start, stop])
    bounds = np.array(offsets[first : last + 1]) if last > first else np.zeros(1, dtype=np.int64)
    events = np.array(items[bounds[0] : bounds[-1]])
    bounds -= bounds[0]
    numbers = np.arange(first, last)
    if not rules.once:
        return SessionBlock(bounds, events, np.empty(0, dtype=np.int32), numbers)
    ends = np.empty(len(bounds), dtype=np.int64)
    kept, session = np.empty(len(events), dtype=np.int32), np.empty(len(events), dtype=np.int32)
    size = first_mentions(bounds, events, new, n, not rules.window, ends, kept, session)
    times = np.empty(size if rules.repeats else 0)
    if rules.repeats:
        count_repeats(locked(bounds), locked(events), ends, kept[:size], n, times)
    return SessionBlock(ends, kept[:size], times.astype(np.int32), numbers)


def cut(block: SessionBlock, rules: PairRules) -> Pieces:
    """The pieces of all sessions that have pairs; every mention is in one piece."""
    offsets = block.offsets
    lengths = np.diff(offsets)
    size = PIECE if rules.window else max(1, int(lengths.max(initial=0)))
    counts = -(-lengths // size)
    session = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(session)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = offsets[session] + number * size
    ends = np.minimum(starts + size, offsets[session + 1])
    begins = np.maximum(starts - rules.window, offsets[session])
    stops = np.minimum(ends + rules.window, offsets[session + 1])
    paired = (stops - begins > 1) | rules.repeats
    return Pieces(*(column[paired] for column in (starts, ends, begins, stops, session)))


def records(block: SessionBlock, pieces: Pieces, weights: np.ndarray, routes: Routes) -> Iterator[Any]:
    """Record batches of RECORD_SCHEMA: each piece, once for every part that counts one of its items.

    weights  (s,) float64 of the sessions, or (0,) for 1
    """
    import pyarrow as pa

    from embedrec.kernels.pair_parts import copy_pieces, route_pieces

    most = int((pieces.ends - pieces.starts).sum())
    part, piece = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.int64)
    numbers = block.numbers[pieces.session]
    count = route_pieces(block.items, pieces.starts, pieces.ends, numbers, *routes, part, piece)
    part, piece = part[:count], piece[:count]
    sizes = pieces.stops - pieces.begins
    total = np.cumsum(sizes[piece])
    cuts = np.searchsorted(total, np.arange(_BATCH, int(total[-1]) if count else 0, _BATCH))
    for chunk in np.split(np.arange(count), np.unique(cuts)):
        if not len(chunk):
            continue
        of = piece[chunk]
        begins, stops, session = pieces.begins[of], pieces.stops[of], pieces.session[of]
        bounds = np.concatenate([[0], np.cumsum(sizes[of])])
        columns = []
        for values in (block.items, block.times):
            out = np.empty(bounds[-1] if len(values) else 0, dtype=np.int32)
            if len(values):
                copy_pieces(values, begins, stops, out)
            ends = (bounds * 4 if len(values) else bounds * 0).astype(np.int32)
            buffers = [None, pa.py_buffer(ends), pa.py_buffer(out)]
            columns.append(pa.Array.from_buffers(pa.binary(), len(chunk), buffers))
        own = pieces.starts[of] - begins
        yield pa.record_batch(
            {
                "part": part[chunk],
                "session": block.numbers[session],
                "place": (begins - block.offsets[session]).astype(np.int32),
                "own": own.astype(np.int32),
                "count": (pieces.ends[of] - pieces.starts[of]).astype(np.int32),
                "weight": weights[session] if len(weights) else np.ones(len(chunk)),
                "items": columns[0],
                "times": columns[1],
            }
        )


class PartInput(NamedTuple):
    """The sessions of a part: their mentions, and for each piece the places of the mentions that count."""

    mentions: Mentions
    starts: np.ndarray
    ends: np.ndarray


def part_input(batches: Iterable[Any], rules: PairRules, weighted: bool, first: int, last: int, n: int) -> PartInput:
    """What a part counts, from its record batches in any order: pairs of the items first … last − 1 of n.

    Sessions come in ascending order, so that pairs are met in the order of one machine.
    """
    from embedrec.kernels.pair_counts import Mentions
    from embedrec.kernels.pair_parts import copy_pieces, index_pieces

    names = ("session", "place", "own", "count", "weight")
    columns: dict[str, list[np.ndarray]] = {name: [np.empty(0, dtype=np.int64)] for name in (*names, "size")}
    data: dict[str, list[np.ndarray]] = {name: [np.empty(0, dtype=np.int32)] for name in ("items", "times")}
    for batch in batches:
        for name in names:
            columns[name].append(batch.column(name).to_numpy())
        for name, parts in data.items():
            values, sizes = _integers(batch.column(name))
            parts.append(values)
            if name == "items":
                columns["size"].append(sizes)
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    order = np.lexsort((joined["place"], joined["session"]))
    sizes = joined["size"].astype(np.int64)
    begins = (np.cumsum(sizes) - sizes)[order]
    sizes = sizes[order]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    events = []
    for name in ("items", "times"):
        values = np.concatenate(data.pop(name))
        out = np.empty(offsets[-1] if len(values) else 0, dtype=np.int32)
        if len(values):
            copy_pieces(values, begins, begins + sizes, out)
        events.append(out)
    items, times = events
    starts = offsets[:-1] + joined["own"][order].astype(np.int64)
    ends = starts + joined["count"][order].astype(np.int64)
    places = np.empty(int((ends - starts).sum()), dtype=np.int64)
    index = index_pieces(items, starts, ends, first, last, n, places)
    longest = int(sizes.max(initial=1))
    gap = rules.gap if len(rules.gap) else np.ones(1 + (min(rules.window, longest) if rules.window else longest))
    mentions = Mentions(
        locked(offsets),
        locked(items),
        locked(np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)),
        locked(index),
        locked(places),
        locked(gap),
        locked(joined["weight"][order].astype(np.float64)) if weighted else NO_NUMBERS,
        locked(times.astype(np.float64)) if rules.repeats else NO_NUMBERS,
        back=rules.back,
        itself=rules.itself,
        ascending=rules.once and not rules.window,
    )
    return PartInput(mentions, starts, ends)


def _integers(column: Any) -> tuple[np.ndarray, np.ndarray]:
    """The int32 values of a binary column, and their number in each row."""
    import pyarrow as pa

    column = column.cast(pa.large_binary())
    _, bounds, data = column.buffers()
    offsets = np.frombuffer(bounds, np.int64)[column.offset : column.offset + len(column) + 1] // 4
    values = np.frombuffer(data, np.int32) if data is not None and data.size else np.empty(0, dtype=np.int32)
    return values[offsets[0] : offsets[-1]] if len(offsets) else values[:0], np.diff(offsets)
