"""The steps of the road, from artifact to artifact: read, do, write with provenance.

The command line and `demo` call these; whoever wants nouns in memory calls the library below them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from embedrec.config import build, parse_pairs, read_toml, settings_of, table
from embedrec.data.features import Features
from embedrec.data.filters import Filters
from embedrec.data.regroup import AS_READ, Regroup
from embedrec.data.sessions import Sessions, sessionize
from embedrec.errors import ArtifactError, DataError, SettingsError, did_you_mean
from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.index.target import Promise
from embedrec.models import WARM_START
from embedrec.models.base import Recipe, VectorModel
from embedrec.models.filtered_recommend import some_queries
from embedrec.models.imported import Vectors
from embedrec.models.neighbour_lists import ListsModel
from embedrec.models.pair_counts import Bounded
from embedrec.models.serialization import load_model, save_model
from embedrec.models.session_encoders import Weights
from embedrec.models.torch_recipe import fitted
from embedrec.progress import Report, quiet
from embedrec.readers import BadRows
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.leakage import check_leaks
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.storage.atomic import scratch_folder
from embedrec.storage.memory_budget import IN_MEMORY, Room, in_files
from embedrec.training.context import HERE, Run
from embedrec.vectors.embeddings import Embeddings, Metric
from embedrec.vectors.file_formats import Format, load_vectors

AS_IS: Mapping[str, Any] = MappingProxyType({})
Indexed = Literal["items", "answers", "sessions"]


def recipe_of(cls: type[Any], config: Path | None, pairs: Iterable[str], base: Mapping[str, Any] = AS_IS) -> Any:
    """A recipe from defaults < settings in `base` < the table [train.NAME] of a TOML file < key=value pairs.

    Raises SettingsError for unknown keys, and for a file that has no such table or anything beside [train].
    """
    values = dict(base)
    if config is not None:
        tables = read_toml(config)
        trained = tables.get("train")
        found = [f"train.{name}" for name in trained] if isinstance(trained, dict) else []
        odd = next((key for key in tables if key != "train"), None)
        if odd is not None or f"train.{cls.name}" not in found:
            wrong = f"has {odd!r} outside of it" if odd is not None else "has none"
            near = did_you_mean(f"train.{cls.name}", found)
            raise SettingsError(f"{config} must hold the settings in a table [train.{cls.name}], but {wrong}{near}")
        values |= table(tables, "train", cls.name)
        build(cls, values, given=str(config))  # names the file when the file is wrong
    return build(cls, {**values, **parse_pairs(pairs)}, given="--set")


def prepare(
    source: str,
    reader: Any,
    paths: Sequence[str | Path],
    folder: Path,
    filters: Filters,
    *,
    regroup: Regroup = AS_READ,
    test: str | Path | None = None,
    bad_rows: BadRows,
    workers: int = 1,
    memory: int | None = None,
    report: Report = quiet,
) -> Artifact:
    """Read files, regroup, filter, sessionise, and write the sessions artifact `folder`.

    source   name of the reader in READERS
    regroup  what a session is
    test     file of the held-out part, for readers that have `read_test`; it is neither regrouped nor filtered
    memory   a budget in bytes, under which columns of events lie in files beside `folder`; the result is the same

    Raises DataError when training knows none of the items that are held out, and for a leak; SettingsError for a
    held-out part beside sessions that are made anew.
    """
    artifacts.check_place(folder)
    if test is not None and regroup != AS_READ:
        raise SettingsError(
            "--by and --gap would make other sessions of the training part only, not of the held-out one; leave them "
            "out, or prepare the whole and split it with `embedrec split`"
        )
    started = perf_counter()
    room = IN_MEMORY if memory is None else Room(memory, folder.parent)
    with room.returning():
        held_out = None if test is None else reader.read_test(test, bad_rows=bad_rows, room=room)
        events = reader.read(paths, bad_rows=bad_rows, workers=workers, report=report, room=room)
        read = {"events": len(events), "sessions": len(events.sessions), "items": len(events.items)}
        events = regroup.apply(events)
        regrouped = {**settings_of(regroup), "sessions": len(events.sessions)}
        events, removed = filters.apply(events)
        sessions = sessionize(events)
        if held_out is not None:
            sessions, held_out = held_out.beside(sessions)
        about: dict[str, Any] = {
            "source": source,
            "reader": settings_of(reader),
            "paths": [str(p) for p in paths],
            "read": read,
            "regrouped": regrouped,
            "bad_rows": bad_rows.counts,
            "filters": settings_of(filters),
            "removed": [
                {key: value for key, value in settings_of(r).items() if key != "note" or value} for r in removed
            ],
            **counts(sessions),
            "seconds": round(perf_counter() - started, 3),
        }
        for name in ("item_features", "user_features"):
            features: Features | None = getattr(sessions, name)
            if features is not None:
                about[name] = features.about()
        if held_out is not None:
            about |= _given(held_out, sessions, test)
        with artifacts.writing(folder, "sessions", about) as draft:
            sessions.write(draft)
            if held_out is not None:
                held_out.write(draft)
    return artifacts.read(folder, "sessions")


def _given(test: HeldOut, train: Sessions, path: str | Path | None) -> dict[str, Any]:
    """What is known of a held-out part that was given, for the manifest."""
    if not (train.vocab.rows_of(test.sessions.vocab.ids) >= 0).any():
        raise DataError(
            f"no item of {path}, such as {test.sessions.vocab.id(0)!r}, is in training, whose items are such as "
            f"{train.vocab.id(0)!r}; check that both files have the same ids, and loosen the filters"
        )
    return {
        "split": {"rule": "given", "test": str(path), "checked": check_leaks(train, test)},
        "test_sessions": len(test),
        "test_events": len(test.sessions.items),
        "questions": int(np.maximum(test.sessions.lengths - np.maximum(test.given, 1), 0).sum()),
    }


def train(
    recipe: Recipe,
    source: Artifact,
    folder: Path,
    *,
    start: Artifact | None = None,
    seed: int = 0,
    threads: int = 1,
    memory: int | None = None,
    report: Report = quiet,
    run: Run = HERE,
) -> Artifact:
    """Train a recipe on a sessions artifact, from scratch or from a model, and write the model artifact `folder`.

    memory  a budget in bytes, for recipes that are `Bounded`, under which what is large lies in files beside `folder`;
            the result is the same
    run     where a recipe that trains with torch does so; its checkpoint is removed when the model is written
    """
    artifacts.check_place(folder)
    if run.checkpoint is not None:
        artifacts.check_place(run.checkpoint)
    sessions = Sessions.load(source, named=memory is None)
    more: dict[str, Any] = {}
    if start is not None:
        check_start(recipe, start)
        more["init"] = load_model(start)
    if memory is not None:
        if not isinstance(recipe, Bounded):
            raise SettingsError(f"{recipe.name} keeps all in memory; leave --memory out")
        more["room"] = Room(memory, folder.parent)
    epochs: list[dict[str, Any]] = []
    measured: dict[str, Any] = {}

    def keep(event: str, **numbers: Any) -> None:
        if event == "epoch":
            epochs.append(numbers)
        if event == "candidates":
            measured[event] = numbers
        report(event, **numbers)

    started = perf_counter()
    with more.get("room", IN_MEMORY).returning():
        model = fitted(recipe, sessions, seed=seed, threads=threads, report=keep, run=run, **more)
    about = {
        "trained_on": provenance(source),
        "continued_from": None if start is None else provenance(start),
        "seed": seed,
        "threads": threads,
        "seconds": round(perf_counter() - started, 3),
        "epochs": epochs,
        **measured,
    }
    if run.device != "cpu":
        about["device"] = run.device
    save_model(model, folder, about, made_from=start)
    if run.checkpoint is not None:
        shutil.rmtree(run.checkpoint, ignore_errors=True)
    return artifacts.read(folder, "model")


def continuing_settings(cls: type[Any], start: Artifact) -> dict[str, Any]:
    """The settings with which a recipe of that class continues the model artifact `start`, see `Word2Vec.continuing`.

    Raises SettingsError where it cannot.
    """
    check_start(cls, start)
    return settings_of(build(cls, start.about["settings"], given=str(start.folder)).continuing())


def check_start(recipe: Recipe | type[Any], start: Artifact) -> None:
    """Raises SettingsError where the training of a recipe cannot continue the model artifact `start`."""
    if recipe.name not in WARM_START:
        raise SettingsError(f"{recipe.name} cannot continue from a finished model; leave --from out")
    if start.about.get("recipe") != recipe.name:
        raise SettingsError(
            f"{recipe.name} cannot continue from {start.name}, which is a model of another kind "
            f"({start.about.get('recipe')}); name a model of {recipe.name} with --from"
        )


def train_along(recipe: Recipe, source: Artifact, *, seed: int, threads: int, run: Run) -> None:
    """What the other processes of a training do while the first one runs `train`: all but report and write."""
    fitted(recipe, Sessions.load(source), seed=seed, threads=threads, report=quiet, run=run)


def import_vectors(
    path: Path,
    folder: Path,
    *,
    kind: Format | None = None,
    metric: Metric | None = None,
    encoded: bool = False,
    report: Report = quiet,
) -> Artifact:
    """Read item vectors from a file of another tool and write the model artifact `folder`.

    Vectors of npy, fbin, fvecs, bvecs and ivecs may be larger than the memory.
    """
    artifacts.check_place(folder)
    room = in_files(folder.parent)
    embeddings = load_vectors(path, kind, metric=metric, percent=encoded, room=room, report=report)
    model = Vectors(metric=embeddings.metric).restore(embeddings.vocab, {"items": embeddings.vectors})
    save_model(model, folder, {"file": str(path), "metric_from": embeddings.about["metric_from"]})
    return artifacts.read(folder, "model")


def index(
    source: Artifact,
    folder: Path,
    kind: str,
    *,
    of: Indexed = "items",
    sessions: Artifact | None = None,
    weights: Weights | None = None,
    popularity: float | None = None,
    features: Features | None = None,
    settings: SearchSettings = AS_BUILT,
    promise: Promise | None = None,
    metric: Metric | None = None,
    device: str = "cpu",
    seed: int = 0,
    memory: int | None = None,
    report: Report = quiet,
) -> Artifact:
    """Build an index of a model artifact's vectors, measure it, and write the index artifact `folder`.

    of          its items; its answers, which histories are asked about; or sessions
    sessions    the sessions to index; of="answers": those whose histories are asked to measure it, else items are
    weights     what events count in those vectors, if not as in the model's queries
    popularity  how much of an item's norm counts, see `VectorModel.dialled`
    features    what is known of its items, which goes along
    settings    of searches that say nothing else; what it leaves open is tuned
    promise     what must hold of it, see `tuner.tuned`
    metric      "cosine", "dot" or "l2" instead of the model's own
    device      where cells are sought: "cpu", or "cuda" for a GPU
    memory      a budget in bytes, under which cells of an index that does not fit are written to disk
    """
    from dataclasses import replace

    from embedrec.index.build import build_index
    from embedrec.index.measure import ASKED
    from embedrec.index.serialization import save_index

    artifacts.check_place(folder)
    Room(memory)  # a budget that is too small is refused before anything is read
    if weights is not None and of != "sessions":
        raise SettingsError(f"settings are of the vectors of sessions, but {of} are indexed; leave --set out")
    if popularity is not None and (of == "sessions" or metric is not None):
        raise SettingsError("popularity is of items, and sets the metric; leave --of sessions or --metric out")
    if metric is not None and of == "answers":
        raise SettingsError("answers are compared as their model does; leave --metric out")
    model = vector_model(source)
    if popularity is not None:
        model = model.dialled(popularity)
    if weights is not None:
        model = model.weighted(weights)
    embeddings = model.answers if of == "answers" else model.embeddings
    asked: Sequence[np.ndarray | None] = None, None
    if sessions is not None:
        loaded = Sessions.load(sessions)
        if of == "sessions":
            embeddings = model.encode(loaded)
        else:
            some = [some_queries(model, loaded, ASKED, seed=number) for number in (seed, seed + 1)]
            asked = [queries if len(queries) else None for queries in some]
    if metric is not None:
        embeddings = replace(embeddings, metric=metric)
    about: dict[str, Any] = {"type": kind, "of": of, "indexed": provenance(source), **origin(source), "seed": seed}
    if sessions is not None:
        about["sessions"] = provenance(sessions)
    if weights is not None:
        about["weights"] = settings_of(weights)
    if popularity is not None:
        about["popularity"] = popularity
    with _room(memory, folder) as room:
        built = build_index(
            embeddings,
            kind,
            settings,
            promise=promise,
            queries=asked[0],
            device=device,
            seed=seed,
            room=room,
            report=report,
        )
        save_index(built, folder, about, queries=asked[1], features=features)
    return artifacts.read(folder, "index")


@contextmanager
def _room(memory: int | None, folder: Path) -> Iterator[Room]:
    """Room in memory, or under a budget in a folder beside `folder` that goes when the block ends."""
    if memory is None:
        yield IN_MEMORY
    else:
        with scratch_folder(folder) as beside:
            yield Room(memory, beside)


def index_name(model: str, kind: str, of: str) -> str:
    """What an index of a model is called where nobody names it: "word2vec-ivf", "gru4rec-answers-ivf"."""
    plain = "".join(c if c.isalnum() else "-" for c in kind.lower()).strip("-")
    return f"{model}{'' if of == 'items' else f'-{of}'}-{plain}"


def verdict(folder: Path) -> str | None:
    """What is wrong with the artifact in `folder`: checksums of all files, then opening it; None when all is well."""
    from embedrec.index.serialization import load_index

    openers: dict[str, Callable[[Artifact], Any]] = {
        "sessions": _load_parts,
        "model": load_model,
        "index": load_index,
    }
    try:
        artifact = artifacts.read(folder)
        artifact.check()
        if artifact.kind not in openers:
            return f"{folder} is of the unknown kind {artifact.kind!r}; write the artifact again"
        openers[artifact.kind](artifact)
    except ArtifactError as e:
        return str(e)
    except OSError as e:
        return f"{folder} cannot be read ({e.strerror})"
    return None


def recall_verdict(source: Artifact) -> tuple[str, bool]:
    """What an index artifact finds of the exact answers to fresh questions, in words; and whether that is enough.

    Asked are items that were not asked when it was built, as far as the catalogue goes. It is not enough when the upper
    end of the interval lies below what was promised, or, of an index without a promise, below the lower end of what was
    measured.
    """
    from embedrec.index.measure import asked_of
    from embedrec.index.serialization import kept_queries, load_index

    index = load_index(source)
    facts, said = index.facts, index.facts.get("promise")
    k, stated = (20, facts.get("recall@20", 0.0)) if said is None else (said["k"], said["recall"])
    least = facts.get("recall_low", stated) if said is None else stated
    queries = kept_queries(source)
    asked = asked_of(index.embeddings, queries, int(source.about.get("seed", 0)) + 1, k=k)
    fresh = "items" if queries is None else "histories"
    found = asked.found_by(index)
    told = f"recall@{k} {found.mean:.4f} on {len(asked.queries):,} fresh {fresh}"
    kind = "measured" if said is None else "promised"
    if found.high < least:
        return f"{told}, below the {stated:g} that was {kind}; build the index again", False
    return f"ok, {told}, {stated:g} {kind}", True


def _load_parts(source: Artifact) -> tuple[Sessions, HeldOut | None]:
    return Sessions.load(source), HeldOut.load(source)


def item_vectors(source: Artifact) -> Embeddings:
    """The item embeddings of a model artifact. Raises SettingsError when it is a model without vectors."""
    return vector_model(source).embeddings


def vector_model(source: Artifact) -> VectorModel:
    """The model of an artifact. Raises SettingsError when it is one without vectors."""
    model = load_model(source)
    if isinstance(model, ListsModel):
        raise SettingsError(
            f"model {source.name} ({source.about['recipe']}) has no vectors; `embedrec similar` and `embedrec export` "
            f"take it without an index, with --model {source.name}"
        )
    if not isinstance(model, VectorModel):
        raise SettingsError(
            f"model {source.name} ({source.about['recipe']}) has no vectors; "
            "train word2vec, or name another model with --model"
        )
    return model


def counts(sessions: Sessions) -> dict[str, int]:
    """How much sessions hold, for their manifest."""
    return {"sessions": len(sessions), "items": len(sessions.vocab), "events": len(sessions.items)}


def provenance(source: Artifact) -> dict[str, str]:
    """What names an artifact in the manifest of what was made from it."""
    return {"name": source.name, "fingerprint": source.fingerprint, "created": source.created}


def origin(model: Artifact) -> dict[str, Any]:
    """What an index keeps of its model beside `provenance`: the model may be trained again, or not come along."""
    return {"trained_on": model.about.get("trained_on"), "model_settings": model.about.get("settings")}
