"""The demo: prepare, train, index, search, evaluate, export, on one source; told in lines of text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from embedrec.data.filters import Filters
from embedrec.data.find_items import find_items
from embedrec.data.sessions import Sessions
from embedrec.datasets.synthetic import make_world, write_mpd
from embedrec.evaluation.evaluate import EvaluationSettings, evaluate
from embedrec.export.similarity_file import write_similarity
from embedrec.index.serialization import load_index
from embedrec.models.baselines.popular import Popular
from embedrec.models.serialization import load_model
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.progress import Report, quiet
from embedrec.readers import reader
from embedrec.splitting.rules import LastItem
from embedrec.splitting.test_cases import next_items
from embedrec.storage.artifacts import read
from embedrec.storage.atomic import atomic_file
from embedrec.storage.workspace import Workspace
from embedrec.tabular.read_settings import ReadSettings
from embedrec.workflows.build_index import IndexSettings, build_index_artifact
from embedrec.workflows.lineage import counts, provenance
from embedrec.workflows.prepare import prepare_sessions
from embedrec.workflows.train import train_model

_SHOWN = 5  # neighbours printed a title
_K = 20


@dataclass(frozen=True)
class Source:
    """What the demo walks on: a reader and its files, three items everybody knows, and the words for them."""

    title: str
    reader: str
    settings: dict[str, Any]
    path: Path
    filters: Filters
    known: tuple[str, ...]
    item: str
    label: Callable[[str], str]  # what is printed behind a name


def films(folder: Path) -> Source:
    """MovieLens 100K in `folder`."""
    known = ("Star Wars (1977)", "Toy Story (1995)", "Pulp Fiction (1994)")
    return Source(
        "MovieLens 100K: 943 people and the films they rated, in order of time",
        "movielens", {}, folder, Filters(), known, "film", lambda _: "",
    )  # fmt: skip


def toy_playlists(folder: Path, *, seed: int) -> Source:
    """A generated world of artists, genres and playlists, written to `folder`."""
    world = make_world(seed=seed)
    write_mpd(world, folder)
    genre = {a.name: a.genre for a in world.artists}
    first = {a.genre: a.name for a in reversed(world.artists)}  # the most popular of each genre
    filters = Filters(duplicates="all", duplicates_at="end")
    return Source(
        f"a generated world: {len(world.playlists):,} playlists of {len(world.artists)} artists",
        "mpd", {"level": "artist"}, folder, filters, tuple(first.values())[:3], "artist",
        lambda name: f"  [{genre[name]}]",
    )  # fmt: skip


def walk(
    source: Source, workspace: Workspace, *, seed: int = 0, threads: int = 1, report: Report = quiet
) -> Iterator[str]:
    """Walk the whole road and tell it, line by line; artifacts and the similarity file stay in the workspace."""
    started = perf_counter()
    yield source.title
    prepared = prepare_sessions(
        source.reader,
        reader(source.reader)(**source.settings),
        [source.path],
        workspace.folder("sessions", "all"),
        source.filters,
        ReadSettings(report=report),
    )
    about = prepared.about
    yield f"  prepared  {about['sessions']:,} sessions, {about['events']:,} events, {about['items']:,} {source.item}s"

    split = LastItem().split(Sessions.load(prepared))
    held = {"held_out": "the last item of every session", "of": provenance(prepared)}
    split.train.save(workspace.folder("sessions", "train"), {**counts(split.train), **held})
    train = read(workspace.folder("sessions", "train"), "sessions")
    trained = train_model(
        Word2Vec(), train, workspace.folder("model", "word2vec"), seed=seed, threads=threads, report=report
    )
    yield f"  trained   word2vec on all but the last {source.item} of each, {trained.about['seconds']:.1f} s"

    known = split.train.item_features
    indexed = build_index_artifact(
        trained,
        workspace.folder("index", "word2vec-ivf"),
        IndexSettings("ivf", seed=seed),
        features=known,
        report=report,
    )
    index, measurements = load_index(indexed), indexed.about["facts"]
    recall, milliseconds = measurements["recall@20"], measurements["query_ms_p50"]
    yield f"  indexed   {index.spec}, recall@20 {recall:.3f}, {milliseconds:.2f} ms a query"
    yield ""

    rows = find_items(index.vocab, source.known)
    neighbours = index.neighbours(rows, _SHOWN)
    for q, row in enumerate(rows.tolist()):
        name = index.vocab.name(row)
        yield f"similar to {name}{source.label(name)}"
        for near, score in zip(neighbours.rows[q].tolist(), neighbours.scores[q].tolist(), strict=True):
            name = index.vocab.name(near)
            yield f"  {score:.3f}  {name}{source.label(name)}"
    yield ""

    test_cases, settings = next_items(split.test, "last"), EvaluationSettings(at=(_K,), exclude_seen=True, draws=0)
    yield f"next {source.item}, all {source.item}s ranked, {len(test_cases):,} held-out ones:"
    for title, model in (
        ("word2vec", load_model(trained)),
        ("most popular", Popular().fit(split.train)),
    ):
        scores = evaluate(model, test_cases, split.train, settings).metrics
        yield f"  {title:13} hit rate@{_K} {scores[f'hit_rate@{_K}']:.3f}   MRR@{_K} {scores[f'mrr@{_K}']:.3f}"
    yield ""

    similar = workspace.inside(workspace.root / "similar.txt")
    with atomic_file(similar) as out:
        lines = write_similarity(index, out, _K, report=report)
    yield f"exported  {lines:,} lines of neighbours to {similar}"
    yield f"          sessions, model and index lie in {workspace.root}; {perf_counter() - started:.0f} s in all"
    yield "try next  " + f'embedrec similar "{source.known[0]}" --workspace {workspace.root}'
    yield f"          embedrec info --workspace {workspace.root}"
    yield "          embedrec prepare --help   (playlists, ratings, or any table of your own)"
