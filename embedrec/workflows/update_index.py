"""Update an index artifact: add, remove and replace items, with vectors from files or from a newer model.

A change writes a new version of the artifact atomically; processes that have the old version open continue to use it.
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
from embedrec.index.serialization import load_index, load_item_features, save_index
from embedrec.index.target import SearchTarget
from embedrec.index.update import tombstones
from embedrec.models.serialization import load_vector_model
from embedrec.progress import Report, quiet
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.file_formats import load_vectors
from embedrec.vectors.procrustes import align_embeddings
from embedrec.vectors.space import space_of
from embedrec.workflows.lineage import origin, provenance


@dataclass(frozen=True)
class Changes:
    """The changes of an index, in the order in which they are made.

    model     a model whose vectors replace those of items in the index; its other items are added
    align     rotate the model's vectors into the space of the index first, and keep items that the model lacks; without
              it they are removed, because their vectors are in another space
    remove    items to remove
    replace   a file of vectors of items in the index
    add       a file of vectors of items that are not in the index
    compact   rebuild the index of the remaining items, with its target
    features  features of the model's items; they take precedence over those stored with the index
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
            raise SettingsError("--align needs the vectors of a model; name it with --model")
        if not (self.compact or any(x is not None for x in (self.model, self.remove, self.replace, self.add))):
            raise SettingsError("no changes given; use --add, --replace, --remove, --model or --compact")


@dataclass(frozen=True, eq=False)
class ChangedIndex:
    """A changed index.

    artifact  its new version
    row       numbers of changed items, and measurements before and after
    messages  notes for the user
    """

    artifact: Artifact
    row: dict[str, Any]
    messages: Sequence[str]


def change_index(
    source: Artifact,
    folder: Path,
    changes: Changes,
    *,
    opened: Index | None = None,
    seed: int | None = None,
    report: Report = quiet,
) -> ChangedIndex:
    """Change the index `source`, and write the result as the artifact `folder`, which may be that of `source`.

    opened  the index, if it has been loaded
    seed    of measurements and of rebuilding; None uses that of the index

    Raises SettingsError for an index of sessions or answers, ArtifactError if another process changed `source`
    meanwhile, and the errors of `embedrec.index.update`.
    """
    of = source.about.get("of", "items")
    if of != "items":
        raise SettingsError(f"index {source.name} is of {of}, which cannot be changed; rebuild it")
    artifacts.check_place(folder)
    seed = int(source.about.get("seed", 0)) if seed is None else seed
    started = perf_counter()
    before = load_index(source) if opened is None else opened
    index, about, messages = before, {**source.about, "space": space_of(source)}, list[str]()
    counts = {"added": 0, "replaced": 0, "removed": 0}
    for step in _steps(changes, index, report):
        index = step(index, counts, about, messages)
    changed = any(counts.values())
    if changes.compact:
        stored = before.measurements.get("promise")
        target = None if stored is None else SearchTarget(**stored)
        kind = about.get("type") if about.get("type") in INDEXES else before.spec
        index = build_index(index.embeddings, str(kind), BuildSettings(target=target, seed=seed), report=report)
    elif changed:
        index = _measured(index, seed)
    else:
        index = replace(index, measurements=before.measurements)
    row = {
        "index": folder.name,
        "items": len(index),
        **counts,
        "tombstones": tombstones(index),
        **_measurements(before, "_before"),
        **_measurements(index, ""),
    }
    about["changes"] = [*about.get("changes", []), {**counts, "compacted": changes.compact, "of": provenance(source)}]
    about["seconds"] = round(perf_counter() - started, 3)
    artifacts.check_same(source)
    manifest = {name: value for name, value in about.items() if name not in _MEASURED}
    save_index(index, folder, manifest, features=_features(source, changes.features), made_from=source)
    return ChangedIndex(
        artifacts.read(folder, "index"), row, messages + ([] if changes.compact else _warnings(before, index))
    )


def _features(source: Artifact, newer: Features | None) -> Features | None:
    """The item features of a changed index: those of the source, with the newer ones over them."""
    older = load_item_features(source)
    return older if newer is None else newer if older is None else merge_features(newer, older)


_MEASURED = {"spec", "metric", "items", "dim", "augmented", "longest", "nprobe", "ef_search", "rerank", "facts"}
_TOMBSTONES = 0.2  # share of tombstones above which a message suggests --compact
Step = Callable[[Index, dict[str, int], dict[str, Any], list[str]], Index]


def _steps(changes: Changes, index: Index, report: Report) -> list[Step]:
    """The changes; files are read before the first change is made."""
    steps: list[Step] = []
    if changes.model is not None:
        steps.append(_use_model(changes.model, changes.align))
    if changes.remove is not None:
        steps.append(_remove(changes.remove))
    for path, how in ((changes.replace, "replaced"), (changes.add, "added")):
        if path is not None:
            vectors = load_vectors(path, metric=index.metric, report=report)
            steps.append(_use_vectors(replace(vectors, vocab=_with_id_type(index.vocab, vectors.vocab, path)), how))
    return steps


def _use_vectors(vectors: Embeddings, how: str) -> Step:
    def step(index: Index, counts: dict[str, int], about: dict[str, Any], messages: list[str]) -> Index:
        counts[how] += len(vectors)
        return update.add(index, vectors) if how == "added" else update.replace(index, vectors)

    return step


def _remove(ids: IdList) -> Step:
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


def _use_model(source: Artifact, align: bool) -> Step:
    def step(index: Index, counts: dict[str, int], about: dict[str, Any], messages: list[str]) -> Index:
        model = load_vector_model(source)
        vectors = model.scale_norms(about["popularity"]).embeddings if "popularity" in about else model.embeddings
        vectors = replace(vectors, metric=index.metric)
        space = about["space"]
        about |= {"indexed": provenance(source), **origin(source)}
        index_ids, model_ids = unify_ids(index.vocab.ids, vectors.vocab.ids)
        if index.vocab.integer and index_ids.dtype != np.int64:
            odd = next(i for i in model_ids.tolist() if isinstance(convert_id(i, integer=True), str))
            messages.append(f"ids of the index become text, because model {source.name} has an item {odd!r}")
        index = replace(index, embeddings=_with_ids(index.embeddings, index_ids))
        vectors = _with_ids(vectors, model_ids)
        if align:
            vectors, fit = align_embeddings(vectors, index.embeddings)
            about |= {"aligned": round(fit.mean, 4), "space": space}
            messages.append(f"aligned: the mean cosine between both vectors of a common item is {fit.mean:.4f}")
        rows = index.vocab.rows_of(vectors.vocab.ids)
        known = rows >= 0
        if not known.any():
            raise DataError(f"model {source.name} has none of the items of the index; build a new index of the model")
        missing = np.ones(len(index), dtype=bool)  # items of the index that the model does not have
        missing[rows[known]] = False
        if missing.any() and not align:
            removed = index.vocab.ids[missing].tolist()
            messages.append(
                f"{len(removed):,} items that model {source.name} does not have are removed; --align keeps them"
            )
            counts["removed"] += len(removed)
            index = update.remove(index, removed)
        counts["replaced"] += int(known.sum())
        counts["added"] += int((~known).sum())
        index = update.replace(index, _take(vectors, known))
        return index if known.all() else update.add(index, _take(vectors, ~known))

    return step


def _with_ids(vectors: Embeddings, ids: Ids) -> Embeddings:
    """The same vectors with ids of another type."""
    same = ids.dtype == vectors.vocab.ids.dtype
    return vectors if same else replace(vectors, vocab=Vocab(ids, vectors.vocab.names, vectors.vocab.counts))


def _take(vectors: Embeddings, which: np.ndarray) -> Embeddings:
    return replace(vectors, vectors=vectors.vectors[which], vocab=vectors.vocab.take(np.flatnonzero(which)))


def _with_id_type(vocab: Vocab, given: Vocab, path: Path) -> Vocab:
    """The ids of a file, with the type of the index's ids. Raises DataError for an id that cannot be converted."""
    if not vocab.integer or given.integer:
        return given if vocab.integer == given.integer else Vocab(given.ids.astype(str), given.names, given.counts)
    ids = parse_ids(vocab, given.ids.tolist())
    odd = next((i for i in ids if isinstance(i, str)), None)
    if odd is not None:
        raise DataError(f"ids of the index are whole numbers, but {path} contains {odd!r}; leave it out")
    return Vocab(ids, given.names, given.counts)  # type: ignore[arg-type]


def _measured(index: Index, seed: int) -> Index:
    """The index with new measurements."""
    target = index.measurements.get("promise")
    sample = sample_items(index.embeddings, seed, k=SearchTarget.k if target is None else target["k"])
    return replace(index, measurements={**index.measurements, **measure_index(index, sample)})


def _measurements(index: Index, suffix: str) -> dict[str, Any]:
    recalls = {name: value for name, value in index.measurements.items() if name.startswith("recall@")}
    p50 = index.measurements.get("query_ms_p50")
    return {f"{name}{suffix}": value for name, value in {**recalls, "query_ms_p50": p50}.items()}


def _warnings(before: Index, index: Index) -> list[str]:
    """Messages if the recall is below the target or the earlier recall, or if many vectors are of removed items."""
    messages = []
    target = index.measurements.get("promise")
    name = f"recall@{SearchTarget.k if target is None else target['k']}"
    least = before.measurements.get("recall_low", 0.0) if target is None else target["recall"]
    value = index.measurements.get(name, 1.0)
    high = 2 * value - index.measurements.get("recall_low", value)  # the upper end of the interval
    if high < least:
        what = f"the earlier {before.measurements[name]:.4f}" if target is None else f"the target of {least:g}"
        messages.append(f"{name} {value:.4f} is below {what}; --compact rebuilds the index")
    dead = tombstones(index)
    if dead > _TOMBSTONES * index.faiss.ntotal:
        messages.append(
            f"{dead:,} of {index.faiss.ntotal:,} vectors of the index belong to removed items; --compact drops them"
        )
    return messages
