"""An index artifact after changes: items come, go, and get other vectors, of files or of a model that is newer.

Every change writes a new version of the artifact in one step; whoever has the old one open keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from embedrec.data.feature_parquet import merge_features
from embedrec.data.features import Features
from embedrec.data.item_filter import IdList, parse_ids
from embedrec.data.vocab import Ids, Vocab, convert_id, unify_ids
from embedrec.errors import DataError, SettingsError, UnknownItemError
from embedrec.index import update
from embedrec.index.build import build_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.index import Index
from embedrec.index.index_types import INDEXES
from embedrec.index.measure import measure_index, sample_items
from embedrec.index.procrustes import align_embeddings
from embedrec.index.serialization import load_index, load_item_features, save_index
from embedrec.index.target import SearchTarget
from embedrec.index.update import tombstones
from embedrec.models.serialization import load_vector_model
from embedrec.progress import Report, quiet
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.file_formats import load_vectors
from embedrec.workflows.lineage import origin, provenance


@dataclass(frozen=True)
class Changes:
    """What is to change, in the order in which it is done.

    model    a model whose vectors are taken: those of items that the index has replace them, others are added
    align    turn the model's vectors into the space of the index first; items that it does not have stay. Without it
             they go, as their vectors are of another space
    remove   items to take out
    replace  a file of vectors for items that the index has
    add      a file of vectors for items that it does not have
    compact  build it again: cells, codes and graph of what is left, with its promise
    features what is known of the model's items, which goes before what the index knows of them
    """

    model: Artifact | None = None
    align: bool = False
    remove: IdList | None = None
    replace: Path | None = None
    add: Path | None = None
    compact: bool = False
    features: Features | None = None

    def __post_init__(self) -> None:
        if self.align and self.model is None:
            raise SettingsError("only the vectors of another training are aligned; name its model with --model")
        if not (self.compact or any(x is not None for x in (self.model, self.remove, self.replace, self.add))):
            raise SettingsError("nothing is to change; take --add, --replace, --remove, --model or --compact")


@dataclass(frozen=True, eq=False)
class ChangedIndex:
    """What became of an index.

    artifact  its new version
    row       what changed, and what was measured before and after
    messages  notes for the user
    """

    artifact: Artifact
    row: dict[str, Any]
    messages: Sequence[str]


def change_index(
    source: Artifact, folder: Path, changes: Changes, *, seed: int | None = None, report: Report = quiet
) -> ChangedIndex:
    """Write the artifact `folder`: the index of another artifact, or of itself, after changes.

    seed  of what is measured and built again; None takes that of the index

    Raises SettingsError for an index of sessions or answers, ArtifactError when `source` was changed by somebody else
    meanwhile, and as the changes of `embedrec.index.update` do.
    """
    of = source.about.get("of", "items")
    if of != "items":
        raise SettingsError(
            f"index {source.name} is of {of}, which only training its model again changes; build it again"
        )
    artifacts.check_place(folder)
    seed = int(source.about.get("seed", 0)) if seed is None else seed
    started = perf_counter()
    before = load_index(source)
    index, about, messages = before, dict(source.about), list[str]()
    counts = {"added": 0, "replaced": 0, "removed": 0}
    for step in _steps(changes, index, report):
        index = step(index, counts, about, messages)
    changed = any(counts.values())
    if changes.compact:
        target = before.measurements.get("promise")
        promise = None if target is None else SearchTarget(**target)
        kind = about.get("type") if about.get("type") in INDEXES else before.spec
        index = build_index(index.embeddings, str(kind), BuildSettings(target=promise, seed=seed), report=report)
    elif changed:
        index = _measured(index, seed)
    else:
        index = replace(index, measurements=before.measurements)
    row = {
        "index": folder.name,
        "items": len(index),
        **counts,
        "tombstones": tombstones(index),
        **_facts(before, "_before"),
        **_facts(index, ""),
    }
    about["changes"] = [*about.get("changes", []), {**counts, "compacted": changes.compact, "of": provenance(source)}]
    about["seconds"] = round(perf_counter() - started, 3)
    artifacts.check_same(source)
    kept = {name: value for name, value in about.items() if name not in _WRITTEN}
    save_index(index, folder, kept, features=_features(source, changes.features), made_from=source)
    return ChangedIndex(
        artifacts.read(folder, "index"), row, messages + ([] if changes.compact else _drift(before, index))
    )


def _features(source: Artifact, newer: Features | None) -> Features | None:
    """What is known of the items of a changed index."""
    older = load_item_features(source)
    return older if newer is None else newer if older is None else merge_features(newer, older)


_WRITTEN = {"spec", "metric", "items", "dim", "augmented", "longest", "nprobe", "ef_search", "rerank", "facts"}
_MANY = 0.2  # tombstones, of all vectors, that are worth a word
Step = Callable[[Index, dict[str, int], dict[str, Any], list[str]], Index]


def _steps(changes: Changes, index: Index, report: Report) -> list[Step]:
    """The changes one by one; files are read before the first is made."""
    steps: list[Step] = []
    if changes.model is not None:
        steps.append(_from_model(changes.model, changes.align))
    if changes.remove is not None:
        steps.append(_removing(changes.remove))
    for path, how in ((changes.replace, "replaced"), (changes.add, "added")):
        if path is not None:
            vectors = load_vectors(path, metric=index.metric, report=report)
            steps.append(_with_vectors(replace(vectors, vocab=_like(index.vocab, vectors.vocab, path)), how))
    return steps


def _with_vectors(vectors: Embeddings, how: str) -> Step:
    def step(index: Index, counts: dict[str, int], about: dict[str, Any], messages: list[str]) -> Index:
        counts[how] += len(vectors)
        return update.add(index, vectors) if how == "added" else update.replace(index, vectors)

    return step


def _removing(ids: IdList) -> Step:
    def step(index: Index, counts: dict[str, int], about: dict[str, Any], messages: list[str]) -> Index:
        rows = ids.rows(index.vocab)
        unknown = int((rows < 0).sum())
        if unknown == len(rows):
            raise UnknownItemError(f"none of the {len(rows):,} ids in {ids.name} are in the index; check them")
        if unknown:
            messages.append(f"{unknown:,} of the {len(rows):,} ids in {ids.name} are not in the index")
        rows = np.unique(rows[rows >= 0])
        counts["removed"] += len(rows)
        return update.remove(index, index.vocab.ids[rows].tolist())

    return step


def _from_model(source: Artifact, align: bool) -> Step:
    def step(index: Index, counts: dict[str, int], about: dict[str, Any], messages: list[str]) -> Index:
        model = load_vector_model(source)
        vectors = model.scale_norms(about["popularity"]).embeddings if "popularity" in about else model.embeddings
        vectors = replace(vectors, metric=index.metric)
        about |= {"indexed": provenance(source), **origin(source)}
        mine, theirs = unify_ids(index.vocab.ids, vectors.vocab.ids)
        if index.vocab.integer and mine.dtype != np.int64:
            odd = next(i for i in theirs.tolist() if isinstance(convert_id(i, integer=True), str))
            messages.append(f"ids of the index become texts, as model {source.name} has an item {odd!r}")
        index = replace(index, embeddings=_with_ids(index.embeddings, mine))
        vectors = _with_ids(vectors, theirs)
        if align:
            vectors, fit = align_embeddings(vectors, index.embeddings)
            about["aligned"] = round(fit, 4)
            messages.append(f"aligned: the mean cosine between both vectors of a common item is {fit:.4f}")
        rows = index.vocab.rows_of(vectors.vocab.ids)
        known = rows >= 0
        if not known.any():
            raise DataError(f"model {source.name} has none of the items of the index; build a new one of it")
        old = np.ones(len(index), dtype=bool)
        old[rows[known]] = False
        if old.any() and not align:
            gone = index.vocab.ids[old].tolist()
            messages.append(
                f"{len(gone):,} items that model {source.name} does not have are removed; --align keeps them"
            )
            counts["removed"] += len(gone)
            index = update.remove(index, gone)
        counts["replaced"] += int(known.sum())
        counts["added"] += int((~known).sum())
        index = update.replace(index, _taken(vectors, known))
        return index if known.all() else update.add(index, _taken(vectors, ~known))

    return step


def _with_ids(vectors: Embeddings, ids: Ids) -> Embeddings:
    """The same vectors under the same ids in another kind."""
    same = ids.dtype == vectors.vocab.ids.dtype
    return vectors if same else replace(vectors, vocab=Vocab(ids, vectors.vocab.names, vectors.vocab.counts))


def _taken(vectors: Embeddings, which: np.ndarray) -> Embeddings:
    return replace(vectors, vectors=vectors.vectors[which], vocab=vectors.vocab.take(np.flatnonzero(which)))


def _like(vocab: Vocab, given: Vocab, path: Path) -> Vocab:
    """The ids of a file, of the type that those of the index have. Raises DataError for one that cannot be."""
    if not vocab.integer or given.integer:
        return given if vocab.integer == given.integer else Vocab(given.ids.astype(str), given.names, given.counts)
    ids = parse_ids(vocab, given.ids.tolist())
    odd = next((i for i in ids if isinstance(i, str)), None)
    if odd is not None:
        raise DataError(f"ids of the index are whole numbers, but {path} holds {odd!r}; leave it out")
    return Vocab(ids, given.names, given.counts)  # type: ignore[arg-type]


def _measured(index: Index, seed: int) -> Index:
    """The index with what is measured of it as it is now."""
    promise = index.measurements.get("promise")
    sample = sample_items(index.embeddings, seed, k=SearchTarget.k if promise is None else promise["k"])
    return replace(index, measurements={**index.measurements, **measure_index(index, sample)})


def _facts(index: Index, when: str) -> dict[str, Any]:
    kept = {name: value for name, value in index.measurements.items() if name.startswith("recall@")}
    p50 = index.measurements.get("query_ms_p50")
    return {f"{name}{when}": value for name, value in {**kept, "query_ms_p50": p50}.items()}


def _drift(before: Index, index: Index) -> list[str]:
    """What to say where the index finds less than it should, or holds much that is gone."""
    messages = []
    target = index.measurements.get("promise")
    name = f"recall@{SearchTarget.k if target is None else target['k']}"
    least = before.measurements.get("recall_low", 0.0) if target is None else target["recall"]
    value = index.measurements.get(name, 1.0)
    high = 2 * value - index.measurements.get("recall_low", value)  # the upper end of the interval
    if high < least:
        what = (
            f"what was measured before, {before.measurements[name]:.4f}"
            if target is None
            else f"the {least:g} promised"
        )
        messages.append(f"{name} {value:.4f} is below {what}; --compact builds the index again")
    dead = tombstones(index)
    if dead > _MANY * index.faiss.ntotal:
        messages.append(
            f"{dead:,} of {index.faiss.ntotal:,} vectors in it are of no item any more; --compact drops them"
        )
    return messages
