"""What of a content differs from the served generation in PostgreSQL: the rest is copied within the server.

PREFIX_digests  table: part, block, digests and ids of the entries of each generation, see `digests`
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from embedrec.data.result_lists import BLOCK
from embedrec.data.topk import TopK
from embedrec.publish.content import PublishContent
from embedrec.publish.digests import (
    StoredDigests,
    id_digests,
    list_digests,
    pack,
    pack_ids,
    unpack_ids,
    vector_digests,
    with_missing,
)
from embedrec.publish.encoded_ids import EncodedIds
from embedrec.publish.postgres_rows import HEAD, TAIL, column_types, id_rows, item_type
from embedrec.publish.postgres_session import Session

MAX_SHARE = 0.25  # of the entries that may differ; with more, all are sent


@dataclass(frozen=True, eq=False)
class Difference:
    """What differs of a part.

    changed  (m,) int64 rows of the seeds whose entries are sent
    gone     ids of the base that the content does not have
    """

    changed: np.ndarray
    gone: list[bytes]


@dataclass(eq=False)
class Digested:
    """The digests of a content, computed while its lists are read.

    source   the content
    content  the same, whose lists compute their digests when they are read
    ids      of the seeds
    seeds    (n,) their digests
    values   part → (n,) digests of the entries that have been read
    exists   part → (n,) whether a seed has an entry; an empty list is none
    """

    source: PublishContent
    content: PublishContent = field(init=False)
    ids: EncodedIds = field(init=False)
    seeds: np.ndarray = field(init=False)
    values: dict[str, np.ndarray] = field(init=False)
    exists: dict[str, np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        source, n = self.source, len(self.source.vocab)
        self.ids = EncodedIds.of(source.vocab)
        self.seeds = id_digests(self.ids)
        self.values = {part: np.zeros(n, np.uint64) for part in source.parts}
        self.exists = {part: np.full(n, part == "vectors") for part in source.parts}
        for rows, vectors in source.vector_blocks():
            self.values["vectors"][rows] = vector_digests(vectors)
        lists = source.lists
        if lists is None:
            self.content = source
            return
        ids = self.seeds if source.results is source.vocab else id_digests(EncodedIds.of(source.results))
        results = with_missing(ids)

        def best(rows: np.ndarray, k: int) -> TopK:
            top = lists.best(rows, k)
            self.values["neighbours"][rows] = list_digests(results, top, scores=True)
            self.exists["neighbours"][rows] = (top.rows >= 0).any(axis=1)
            return top

        self.content = replace(source, lists=replace(lists, best=best))

    def compare(self, session: Session, part: str, number: int) -> Difference | None:
        """What differs from a generation; None if it has no digests, or if too much differs."""
        stored = session.execute(
            "SELECT digests, ids FROM {} WHERE generation = %s AND part = %s ORDER BY block",
            "digests",
            values=(number, part),
        )
        base = StoredDigests.unpack([digests for digests, _ in stored])
        if base is None or not len(base):
            return None
        limit = MAX_SHARE * max(len(self.seeds), len(base))
        known = base.find(self.seeds)
        differs = np.zeros(len(self.seeds), dtype=bool)
        for rows in self._read(part):
            equal = (known[rows] >= 0) & self.exists[part][rows]
            equal[equal] = base.values[known[rows[equal]]] == self.values[part][rows[equal]]
            differs[rows] = ~equal & self.exists[part][rows]
            if differs.sum() > min(limit, (rows[-1] + 1) / 2):  # half of the first entries: the model is another one
                return None
        gone = np.ones(len(base), dtype=bool)
        gone[known[(known >= 0) & self.exists[part]]] = False
        if differs.sum() + gone.sum() > limit:
            return None
        ids = unpack_ids(base.counts, [data for _, data in stored], np.flatnonzero(gone))
        return Difference(np.flatnonzero(differs), ids)

    def save(self, session: Session, part: str, number: int) -> None:
        """Store the digests of a part that has been read."""
        rows = np.flatnonzero(self.exists[part])
        for block, start in enumerate(range(0, len(rows), BLOCK)):
            chosen = rows[start : start + BLOCK]
            data = pack(self.seeds[chosen], self.values[part][chosen])
            ids = pack_ids(self.ids, chosen)
            statement = "INSERT INTO {} VALUES (%s, %s, %s, %s, %s)"
            session.execute(statement, "digests", values=(number, part, block, data, ids))

    def _read(self, part: str) -> Iterator[np.ndarray]:
        """Read a part in blocks, so that its digests are known; rows (b,) of each."""
        blocks = self.content.list_blocks() if part == "neighbours" else self.content.vector_blocks()
        for rows, _ in blocks:
            yield rows


def copy_unchanged(
    session: Session, part: str, content: PublishContent, difference: Difference, base: int, number: int
) -> int:
    """Copy the rows of a generation that neither changed nor went, within the server; returns their number."""
    columns = list(column_types(part, content))
    others = [*EncodedIds.of(content.vocab).take(difference.changed), *difference.gone]
    session.execute(f"CREATE TEMPORARY TABLE embedrec_differs (id {item_type(content.vocab)} PRIMARY KEY)")
    statement = "COPY embedrec_differs FROM STDIN (FORMAT binary)"
    with session.connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(HEAD + id_rows(content.vocab, others) + TAIL)
    table = session.quote_name(f"{part}_all")
    names = ", ".join(columns)
    copied = session.connection.execute(
        f"INSERT INTO {table} (generation, {names}) SELECT {number}, {names} FROM {table} AS t "
        f"WHERE generation = {base} AND NOT EXISTS (SELECT FROM embedrec_differs WHERE id = t.{columns[0]})"
    )
    session.execute("DROP TABLE embedrec_differs")
    return int(copied.rowcount)
