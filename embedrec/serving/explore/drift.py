"""Drift between two versions of an index or model: which items came and went, and whose neighbours changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError, did_you_mean
from embedrec.export.diff import compare_exports
from embedrec.export.read_lists import IdCodes, RankedLists
from embedrec.serving.answers import Computing
from embedrec.serving.explore.schemas import DriftAnswer, DriftQuery, ItemSet, MovedItem, NamedItem
from embedrec.serving.sources import Served, Source

MOST_ITEMS = 20_000  # whose neighbours are compared
_FEWEST_ITEMS = 200
_WORK = 2e10  # products of vectors' entries that an answer may take
_NAMED = 30  # items that came or went
_KEPT = 4  # answers that are kept


async def drift(served: Served, previous: Served | None, computing: Computing, request: DriftQuery) -> DriftAnswer:
    """What changed from one version to the other. Raises SettingsError for a version that is not served."""
    old, new = (_version(served, previous, name) for name in (request.from_, request.to))
    k, most = request.k or 10, request.most or 20
    key = ("drift", old.version, k, most)
    with new as source:
        return await computing.run(lambda: source.remembered(key, lambda: _drift(old, source, k, most), _KEPT))


def _version(served: Served, previous: Served | None, name: str) -> Source:
    """The source of a name or version, of those that are served and those before, that has similar items."""
    held = [*served.sources.values(), *([] if previous is None else previous.sources.values())]
    able = [source for source in held if "similar" in source.questions]
    for source in able:
        if name == source.version:
            return source
    for source in able:
        if name == source.name:
            return source
    known = list(dict.fromkeys(source.version for source in able))
    hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
    raise SettingsError(f"no version {name!r} with similar items is served{hint}")


def _drift(old: Source, new: Source, k: int, most: int) -> DriftAnswer:
    before, after = old.similar(), new.similar()
    vocabs = (before.vocab, after.vocab)
    at = after.vocab.rows_of(before.vocab.ids)  # the new row of each old item
    stayed = np.flatnonzero(at >= 0)
    went = np.flatnonzero(at < 0)
    came = np.flatnonzero(before.vocab.rows_of(after.vocab.ids) < 0)
    if not len(stayed):
        raise SettingsError(f"{old.version} and {new.version} have no item in common")
    counts = new.catalogue.counts
    popularity = np.zeros(len(after.vocab)) if counts is None else np.asarray(counts)
    limit = _limit(before, after)
    rows = stayed[np.argsort(-popularity[at[stayed]], kind="stable")[:limit]]
    messages = []
    if len(rows) < len(stayed):
        messages.append(f"the {len(rows):,} most frequent of the {len(stayed):,} items in both are compared")
    k = max(1, min(k, len(before.vocab) - 1, len(after.vocab) - 1))
    code_of = np.full(len(after.vocab), -1)  # old rows are codes; new items come after them
    code_of[at[stayed]] = stayed
    code_of[came] = len(before.vocab) + np.arange(len(came))
    codes = IdCodes()
    codes.ids = [*map(str, before.vocab.ids.tolist()), *map(str, after.vocab.ids[came].tolist())]
    lists = (
        _ranked(rows, before.neighbours(rows, k).rows, np.arange(len(before.vocab))),
        _ranked(rows, after.neighbours(at[rows], k).rows, code_of),
    )
    difference = compare_exports(*lists, codes, k=k, worst=most)
    moved = [_moved(one, vocabs, f"overlap@{k}") for one in difference.worst]
    shares = np.bincount(np.rint(difference.overlaps * k).astype(np.int64), minlength=k + 1)
    return DriftAnswer(
        old.version,
        new.version,
        k,
        len(rows),
        difference.figures["lists unchanged"],  # type: ignore[arg-type]
        round(difference.overlap, 4),
        round(difference.figures["rank-biased overlap"], 4),  # type: ignore[arg-type]
        shares.tolist(),
        moved,
        _set(after.vocab, came, popularity),
        _set(before.vocab, went, np.zeros(len(before.vocab))),
        messages,
    )


def _limit(before: Any, after: Any) -> int:
    """The number of items that can be compared in reasonable time."""
    size = max(len(source.vocab) * (64 if source.vectors is None else source.vectors.dim) for source in (before, after))
    return max(_FEWEST_ITEMS, min(MOST_ITEMS, int(_WORK / max(size, 1))))


def _ranked(seeds: np.ndarray, rows: np.ndarray, code_of: np.ndarray) -> RankedLists:
    """The lists of seeds (q,) from rows (q, k), −1 for missing, as codes."""
    lengths = (rows >= 0).sum(axis=1)
    return RankedLists(seeds, np.concatenate([[0], np.cumsum(lengths)]), code_of[rows[rows >= 0]])


def _moved(one: dict[str, Any], vocabs: Sequence[Vocab], overlap: str) -> MovedItem:
    lost, gained = (_named(one[kind], vocab) for kind, vocab in zip(("lost", "gained"), vocabs, strict=True))
    (item,) = _named([one["item"]], vocabs[0])
    return MovedItem(item.item, item.name, one[overlap], one["rbo"], lost, gained)


def _named(ids: Sequence[str], vocab: Vocab) -> list[NamedItem]:
    return _items(vocab, vocab.rows_of(ids))


def _items(vocab: Vocab, rows: np.ndarray) -> list[NamedItem]:
    return [NamedItem(vocab.id(row), vocab.name(row)) for row in rows.tolist()]


def _set(vocab: Vocab, rows: np.ndarray, popularity: np.ndarray) -> ItemSet:
    """How many items, and the most frequent of them."""
    return ItemSet(len(rows), _items(vocab, rows[np.argsort(-popularity[rows], kind="stable")[:_NAMED]]))
