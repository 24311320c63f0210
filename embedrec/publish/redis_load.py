"""Loading of the keys of a generation: all of them, or those that differ from the served generation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from embedrec.data.topk import TopK
from embedrec.progress import Report
from embedrec.publish.content import PublishContent
from embedrec.publish.digests import (
    StoredDigests,
    id_digests,
    list_digests,
    pack,
    pack_ids,
    unpack_ids,
    with_missing,
)
from embedrec.publish.generations import Size
from embedrec.publish.redis_commands import Batch, Packing, exists_command, pack_arguments, parts
from embedrec.publish.redis_session import Session

MAX_SHARE = 0.25  # of the entries that may change; with more, all are written
MAX_CHANGES = 250_000  # keys exchanged by the switch, which blocks the server for about five microseconds each


@dataclass(frozen=True, eq=False)
class Base:
    """The served generation, against which a delta is written.

    number   of the generation
    store    the number in its keys
    digests  of its lists
    intact   whether all its keys are known to exist; else the server is asked for each that is not written
    """

    number: int
    store: int
    digests: StoredDigests
    intact: bool

    def limit(self, count: int) -> int:
        """The most keys that a delta of a generation with `count` seeds may change."""
        return min(MAX_CHANGES, int(MAX_SHARE * max(count, len(self.digests))))


@dataclass(eq=False)
class Loading:
    """The keys of a generation while they are written.

    keys        keys of the generation, written or equal to those of the base
    written     keys written
    sent        bytes of these keys and their lists
    blocks      blocks of digests
    changes     ids of the keys of a delta: changed, new and gone ones; empty without a base
    replaced    keys of the base that the delta replaces or removes
    """

    session: Session
    number: int
    packing: Packing
    base: Base | None
    keys: int = 0
    written: int = 0
    sent: int = 0
    blocks: int = 0
    changes: list[bytes] = field(default_factory=list)
    replaced: int = 0
    _stored: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))  # (n,) place of each seed in the base
    _gone: np.ndarray = field(default_factory=lambda: np.empty(0, bool))  # (m,) lists of the base that are not in it
    _equal: list[np.ndarray] = field(default_factory=list)  # rows of seeds that were not written

    def load(self, content: PublishContent, report: Report) -> None:
        """Write the keys and digests of a content, next to the served generation.

        Without a base, or if too much has changed, all keys are written to PREFIX:NUMBER:ITEM; otherwise the changed
        ones only, and the ids of changed, new and gone keys to PREFIX:changes:NUMBER.
        """
        seeds = id_digests(self.packing.seeds)
        ids = seeds if self.packing.others is self.packing.seeds else id_digests(self.packing.others)
        results = with_missing(ids)
        if self.base is not None:
            self._stored = self.base.digests.find(seeds)
            self._gone = np.ones(len(self.base.digests), dtype=bool)
        done, total = 0, len(seeds)
        for rows, lists in content.list_blocks():
            values = list_digests(results, lists, scores=self.packing.kind == "json")
            has_key: np.ndarray = np.logical_or((lists.rows >= 0).any(axis=1), self.packing.kind == "json")
            self._save_digests(rows[has_key], seeds, values[has_key])
            self.keys += int(has_key.sum())
            changed = self._compare(rows, values, has_key)
            for offset in self._write(rows, lists, changed):
                report("progress", done=done + offset, total=total, unit="items")
            done += len(rows)
            report("progress", done=done, total=total, unit="items")
            if self.base is not None and len(self.changes) > self.base.limit(total):
                self.base = None
        if self.base is not None and not self._add_gone(total):
            self.base = None
        if self.base is not None:
            self._save_changes()
        elif self._equal:
            for rows, lists in content.list_blocks(np.concatenate(self._equal)):
                for _ in self._write(rows, lists, np.arange(len(rows))):
                    pass

    def about(self) -> dict[str, int]:
        """What is stored about the loaded keys; of a delta also its base, and the keys of both sides."""
        about = {"keys": self.keys, "blocks": self.blocks}
        if self.base is None:
            return about
        about |= {"store": self.base.store, "base": self.base.number}
        return about | {"changes": len(self.changes), "written": self.written, "replaced": self.replaced}

    def size(self) -> Size:
        """Keys and bytes written; of a delta also the keys that are not written again."""
        unchanged = {} if self.base is None else {"unchanged": self.keys - self.written}
        return {"keys": self.written, **unchanged, "bytes": self.sent}

    def _compare(self, rows: np.ndarray, values: np.ndarray, has_key: np.ndarray) -> np.ndarray:
        """The places in the block of the lists to write: those that differ from the base, or that it has lost."""
        if self.base is None:
            return np.arange(len(rows))
        stored = np.where(has_key, self._stored[rows], -1)
        equal = stored >= 0
        self._gone[stored[equal]] = False
        equal[equal] = self.base.digests.values[stored[equal]] == values[equal]
        if not self.base.intact:
            equal[equal] = self._exist(rows[equal])
        differs = ~equal & has_key
        self._equal.append(rows[equal])
        self.changes += self.packing.seeds.take(rows[differs])
        self.replaced += int((differs & (stored >= 0)).sum())
        return np.flatnonzero(differs)

    def _exist(self, rows: np.ndarray) -> np.ndarray:
        """Which of the seeds have a key in the base: all of them, unless keys were evicted or deleted."""
        assert self.base is not None
        exist = np.ones(len(rows), dtype=bool)
        start = self.session.key(str(self.base.store), "").encode()
        for part in parts(len(rows)):
            ids = self.packing.seeds.take(rows[part])
            if self.session.ask(exists_command(start, ids)) != len(ids):
                exist[part] = [self.session.ask(exists_command(start, [one])) for one in ids]
        return exist

    def _write(self, rows: np.ndarray, lists: TopK, places: np.ndarray) -> Iterator[int]:
        """Write the lists at these places of a block, in batches; yields the seeds of the block so far between them."""
        start = self.session.key(str(self.number), "").encode()
        for part in parts(len(places)):
            chosen = places[part]
            batch = self.packing.batch(start, rows[chosen], TopK(lists.rows[chosen], lists.scores[chosen], lists.vocab))
            self.session.send(batch)
            self.written, self.sent = self.written + len(batch.keys), self.sent + len(batch.commands)
            if part.stop < len(places):
                yield int(chosen[-1]) + 1

    def _add_gone(self, total: int) -> bool:
        """Add the keys of the base that the content does not have; returns False if they are too many or unknown."""
        assert self.base is not None
        gone = np.flatnonzero(self._gone)
        count = len(gone)
        if len(self.changes) + count > self.base.limit(total):
            return False
        if count:
            ids = read_ids(self.session, self.base, gone)
            if ids is None or len(ids) != count:
                return False
            self.changes += ids
            self.replaced += count
        return True

    def _save_changes(self) -> None:
        if self.changes:
            name = self.session.key("changes", str(self.number)).encode()
            arguments = pack_arguments([b"RPUSH", name, *self.changes]).tolist()
            command = b"*%d\r\n" % len(arguments) + b"".join(arguments)
            self.session.send(Batch([name], command, [len(self.changes)]))

    def _save_digests(self, rows: np.ndarray, seeds: np.ndarray, values: np.ndarray) -> None:
        fields = {f"{self.number}:{self.blocks}": pack(seeds[rows], values)}
        fields[f"{self.number}:{self.blocks}:ids"] = pack_ids(self.packing.seeds, rows)
        self.session.call(lambda: self.session.client.hset(self.session.key("digests"), mapping=fields))
        self.blocks += 1


def read_digests(session: Session, number: int, blocks: int) -> StoredDigests | None:
    """The digests of a generation; None if it has none, or if some are lost."""
    data = _read_blocks(session, [f"{number}:{block}" for block in range(blocks)])
    return None if data is None else StoredDigests.unpack(data)


def read_ids(session: Session, base: Base, places: np.ndarray) -> list[bytes] | None:
    """The ids of a generation at places (m,) in the order in which its digests are stored; None if some are lost.

    Only the blocks with these places are read.
    """
    counts = np.array(base.digests.counts, dtype=np.int64)
    block = np.searchsorted(np.cumsum(counts), places, side="right")  # (m,)
    blocks = np.unique(block)
    data = _read_blocks(session, [f"{base.number}:{one}:ids" for one in blocks.tolist()])
    if data is None:
        return None
    starts, packed = np.cumsum(counts) - counts, np.cumsum(counts[blocks]) - counts[blocks]
    return unpack_ids(counts[blocks].tolist(), data, places - starts[block] + packed[np.searchsorted(blocks, block)])


def digest_fields(session: Session, number: int) -> list[bytes]:
    """The fields of PREFIX:digests of a generation."""
    start = b"%d:" % number
    return [
        name for name in session.call(lambda: session.client.hkeys(session.key("digests"))) if name.startswith(start)
    ]


def _read_blocks(session: Session, fields: list[str]) -> list[bytes] | None:
    if not fields:
        return None
    blocks = session.call(lambda: session.client.hmget(session.key("digests"), fields))
    return None if any(block is None for block in blocks) else blocks
