"""The Million Playlist layout: JSON slices of playlists with their tracks, artists and albums."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Self

import numpy as np

from embedrec.data.event_log import EventLog, ReadState
from embedrec.data.events import Events
from embedrec.data.vocab import Vocab
from embedrec.readers.mpd_slices import Level, Slice, read_slice
from embedrec.storage.memory_budget import Column, MemoryBudget, chunks
from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.process_pool import map_in_order
from embedrec.tabular.read_rows import Plan
from embedrec.tabular.read_settings import NoRowsError, ReadSettings
from embedrec.tabular.source_files import Source, expand

WORTH_PROCESSES = 200_000_000  # minimum bytes of JSON; starting processes takes as long as reading about 50 MB
_PROCESS = 512 << 20  # bytes of the memory budget for each process
_TIMES = 3  # maximum memory of a decoded file, in multiples of its size


@dataclass(frozen=True)
class Mpd:
    """Playlists of the Spotify Million Playlist Dataset (Chen et al. 2018), `.json`, `.json.gz`, or in archives.

    level  an item is the artist, the track or the album of each track
    uris   "keep" ids as they are, spotify:artist:…, or "cut" that prefix

    A session is a playlist, with its pid (int64) as id; an item's name is the artist's name, "Artist – Track"
    or "Artist – Album".
    """

    level: Level = "artist"
    uris: Literal["keep", "cut"] = "keep"

    def read(self, paths: Sequence[str | Path], settings: ReadSettings) -> Events:
        """The tracks of all playlists as events, in the order of files, playlists and tracks.

        Workers are processes; little data is read in this process.

        Raises DataError for unreadable files, another layout, bad rows (unless they are skipped), and if no playlist
        has a track.
        """
        sources = self.sources(paths)
        workers, memory = settings.workers, settings.memory
        if memory.budget is not None:
            workers = max(1, min(workers, memory.budget // _PROCESS))
        if sum(s.unpacked for s in sources) < WORTH_PROCESSES or any(s.forward_only for s in sources):
            workers = 1
        total, done = sum(s.size for s in sources), 0
        joined = SliceMerger(f"spotify:{self.level}:" if self.uris == "cut" else "", memory)
        settings.report("progress", done=0, total=total, unit="B")
        read_one = partial(
            read_slice, level=self.level, mode=settings.bad_rows.mode, most=memory.whole(_TIMES * workers)
        )
        with closing(map_in_order(read_one, sources, workers)) as slices:  # type: ignore[type-var]
            for source, part in zip(sources, slices, strict=True):
                joined.add(source, part, settings.bad_rows)
                done += source.size
                settings.report("progress", done=done, total=total, unit="B")
        events = joined.events(paths)
        if settings.log is not None:
            settings.log.log = EventLog(events, state=ReadState(whole=True))
        return events

    def sources(self, paths: Sequence[str | Path]) -> list[Source]:
        """The files of playlists. Raises DataError as `expand`."""
        return expand(paths, (".json",))

    def events_only(self) -> Self:
        """The same reader: the layout has no features."""
        return self

    def has_features(self, paths: Sequence[str | Path]) -> bool:
        """Whether `add_features` adds any."""
        return False

    def add_features(self, events: Events, plan: Plan, paths: Sequence[str | Path], settings: ReadSettings) -> Events:
        """The same events: the layout has no features."""
        return events


class SliceMerger:
    """Merges slices one by one; memory grows by 4 bytes per track, and with distinct playlists and items."""

    def __init__(self, prefix: str, memory: MemoryBudget) -> None:
        self.memory = memory
        self.prefix = prefix
        self.row_of: dict[str, int] = {}
        self.names: list[str] = []
        self.items = Column(np.int32, memory)  # (E,) rows
        self.lengths: list[np.ndarray] = []  # (P,) tracks a playlist
        self.pids: list[tuple[Source, np.ndarray]] = []  # (P,) a file
        self.seen: set[int] = set()
        self.texts = 0  # approximate bytes of the ids and names of items

    def add(self, source: Source, part: Slice, bad_rows: BadRows) -> None:
        bad_rows.merge(part.bad_rows)
        new = self._fresh(source, part, bad_rows)  # (P,) whether this pid is new
        rows = np.fromiter(map(self._row, part.ids, part.names), np.int32, len(part.ids))  # local → joined row
        keep = np.repeat(new, part.lengths) if not new.all() else slice(None)
        self.items.append(rows[part.items[keep]])
        self.lengths.append(part.lengths[new])
        self.pids.append((source, part.pids[new]))
        self.memory.hold_ids("item", 2 * len(self.names), self.texts)  # ids and names
        self.memory.hold_ids("session", 2 * len(self.seen), None)

    def events(self, paths: Sequence[str | Path]) -> Events:
        lengths = np.concatenate([np.zeros(0, np.int64), *self.lengths])
        pids = np.concatenate([np.zeros(0, np.int64), *(pids for _, pids in self.pids)])[lengths > 0]
        lengths = lengths[lengths > 0]
        if not len(lengths):
            given = ", ".join(map(str, paths))
            raise NoRowsError(f"no playlist in {given} has a track that can be used; check the files")
        items = self.items.array()
        session = self.memory.empty(len(items), np.int32)
        ends = np.cumsum(lengths)
        for chunk in chunks(len(items)):
            first, last = np.searchsorted(ends, [chunk.start, chunk.stop - 1], side="right")
            inside = np.minimum(ends[first : last + 1], chunk.stop) - np.maximum(
                ends[first : last + 1] - lengths[first : last + 1], chunk.start
            )
            session[chunk] = np.repeat(np.arange(first, last + 1, dtype=np.int32), inside)
        return Events(
            session=session,
            item=items,
            memory=self.memory,
            sessions=Vocab(pids),
            items=Vocab(np.array(list(self.row_of), dtype=object), np.array(self.names, dtype=object)),
        )

    def _row(self, uri: str, name: str) -> int:
        row = self.row_of.setdefault(uri.removeprefix(self.prefix), len(self.names))
        if row == len(self.names):
            self.texts += len(uri) + len(name)
            self.names.append(name)
        elif not self.names[row]:
            self.names[row] = name
        return row

    def _fresh(self, source: Source, part: Slice, bad_rows: BadRows) -> np.ndarray:
        pids = part.pids.tolist()
        unique = set(pids)
        if len(unique) == len(pids) and self.seen.isdisjoint(unique):
            self.seen |= unique
            return np.ones(len(pids), dtype=bool)
        new = np.ones(len(pids), dtype=bool)
        for p, pid in enumerate(pids):
            if pid in self.seen:
                other = next((s for s, earlier in self.pids if pid in earlier), source)
                location = f"playlists[{part.places[p]}]"
                bad_rows.add(source, location, "duplicate playlist id", f" (pid {pid} also in {other})")
                new[p] = False
            self.seen.add(pid)
        return new
