"""Drift between two versions of an index or model: which items came and went, and whose neighbours changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.errors import ArtifactError, SettingsError, did_you_mean
from embedrec.evaluation.drift import item_drift
from embedrec.serving.answers import Computing
from embedrec.serving.explore.schemas import DriftAnswer, DriftQuery, ItemSet, MovedItem, NamedItem
from embedrec.serving.sources import Served, Source
from embedrec.text.figures import rounded, rounded_figures
from embedrec.vectors.space import space_of

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


def _counts(source: Source) -> np.ndarray | None:
    """The number of events of each item; None if it is unknown. Of an artifact that was replaced, what is in memory."""
    try:
        return source.catalogue.counts
    except ArtifactError:
        return source.similar().vocab.counts


def _drift(old: Source, new: Source, k: int, most: int) -> DriftAnswer:
    before, after = old.similar(), new.similar()
    counts = _counts(old), _counts(new)
    same_space = space_of(old.artifact) == space_of(new.artifact)
    drift = item_drift(before, after, counts=counts, k=k, worst=most, same_space=same_space)
    figures, lists, items = drift.figures(), drift.difference, drift.items
    vocabs = before.vocab, after.vocab
    moved = [_moved(one, vocabs, f"overlap@{drift.k}") for one in lists.worst]
    shares = np.bincount(np.rint(lists.overlaps * drift.k).astype(np.int64), minlength=drift.k + 1)
    popularity = np.zeros(len(after.vocab)) if counts[1] is None else np.asarray(counts[1])
    return DriftAnswer(
        old.version,
        new.version,
        drift.k,
        drift.compared,
        rounded(figures["lists unchanged"]),
        rounded(drift.overlap),
        rounded(figures["rank-biased overlap"]),
        shares.tolist(),
        moved,
        _set(after.vocab, items.added, popularity),
        _set(before.vocab, items.gone, np.zeros(len(before.vocab))),
        drift.messages,
        rounded_figures(figures),
    )


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
