"""The demo: prepare, train, index, search, recommend, evaluate, export and report on one source, as lines of text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from textwrap import wrap
from time import perf_counter
from typing import Any

from embedrec.data.filters import Filters
from embedrec.data.find_items import find_items
from embedrec.data.sessions import Sessions
from embedrec.data.topk import TopK
from embedrec.datasets.synthetic import make_world, write_mpd
from embedrec.evaluation.comparison_summary import summarise_comparison
from embedrec.export.similarity_file import write_similarity
from embedrec.html_report.content import ReportSettings, collect_report
from embedrec.html_report.page import write_page
from embedrec.index.serialization import load_index
from embedrec.models import recipe_class
from embedrec.models.serialization import load_model
from embedrec.progress import Report, quiet
from embedrec.readers import reader
from embedrec.splitting.rules import LastItem
from embedrec.storage.artifacts import Artifact
from embedrec.storage.atomic import atomic_file
from embedrec.storage.workspace import Workspace
from embedrec.tabular.read_settings import ReadSettings
from embedrec.workflows.build_index import IndexSettings, build_index_artifact
from embedrec.workflows.compare import comparison_record, default_metrics
from embedrec.workflows.evaluate import describe_task, evaluate_task
from embedrec.workflows.evaluated_models import EvaluatedModel
from embedrec.workflows.evaluation_options import EvaluationOptions
from embedrec.workflows.prepare import prepare_sessions
from embedrec.workflows.split import write_split
from embedrec.workflows.train import train_model

# Settings other than defaults were chosen on the second to last film of every person, recall@20 of 943: cooccurrence
# .334 (window 0: .296), word2vec .329 in 3 s (30 epochs take 20 s), mf .338, popular .115. No test part was looked at.
_SETTINGS: dict[str, dict[str, Any]] = {
    "mf": {},
    "word2vec": {"epochs": 8},
    "cooccurrence": {"window": 25},
    "popular": {},
}
_COLUMNS = ("mf", "word2vec", "cooccurrence")  # models whose lists are shown
_INDEXED = "mf"
_SHOWN = 5  # items of a list
_K = 20
_WIDTH = 26  # of a column


@dataclass(frozen=True)
class Source:
    """What the demo runs on.

    known    items whose neighbours are shown
    history  items that a recommendation continues
    group    what an item belongs to, which is printed in brackets; None for nothing
    """

    title: str
    reader: str
    settings: dict[str, Any]
    path: Path
    filters: Filters
    known: tuple[str, ...]
    history: tuple[str, ...]
    item: str
    group: Callable[[str], str | None]


def films(folder: Path) -> Source:
    """MovieLens 100K in `folder`."""
    known = ("Aladdin (1992)", "Sense and Sensibility (1995)", "Vertigo (1958)")
    history = ("Terminator, The (1984)", "Blade Runner (1982)", "Alien (1979)")
    return Source(
        "MovieLens 100K: 943 people and the films they rated, in order of time",
        "movielens", {}, folder, Filters(), known, history, "film", lambda _: None,
    )  # fmt: skip


def toy_playlists(folder: Path, *, seed: int) -> Source:
    """A generated world of artists, genres and playlists, written to `folder`."""
    world = make_world(seed=seed)
    write_mpd(world, folder)
    genre = {a.name: a.genre for a in world.artists}
    first = {a.genre: a.name for a in reversed(world.artists)}  # the most popular of each genre
    known = tuple(first.values())[:3]
    history = tuple([a.name for a in world.artists if a.genre == genre[known[0]]][1:4])
    filters = Filters(duplicates="all", duplicates_at="end")
    return Source(
        f"a generated world: {len(world.playlists):,} playlists of {len(world.artists)} artists",
        "mpd", {"level": "artist"}, folder, filters, known, history, "artist", genre.get,
    )  # fmt: skip


def run_demo(
    source: Source,
    workspace: Workspace,
    *,
    seed: int = 0,
    threads: int = 1,
    command: str = "embedrec demo",
    report: Report = quiet,
) -> Iterator[str]:
    """Run the whole pipeline and yield what it prints, line by line; artifacts, the similarity file and the report stay
    in the workspace. `command` is what the report says made it."""
    started = perf_counter()
    yield source.title
    train = _prepare(source, workspace, report)
    about = workspace.find("sessions", "all").about
    yield f"  prepared  {about['sessions']:,} sessions, {about['events']:,} events, {about['items']:,} {source.item}s"

    trained = {}
    for name, settings in _SETTINGS.items():
        recipe = recipe_class(name)(**settings)
        folder = workspace.folder("model", name)
        trained[name] = train_model(recipe, train, folder, seed=seed, threads=threads, report=report)
    seconds = ", ".join(f"{name} {artifact.about['seconds']:.1f} s" for name, artifact in trained.items())
    yield f"  trained   {seconds}; without the last {source.item} of every session"

    index_settings = IndexSettings("ivf", seed=seed)
    features = Sessions.load(train).item_features
    folder = workspace.folder("index", f"{_INDEXED}-ivf")
    indexed = build_index_artifact(trained[_INDEXED], folder, index_settings, features=features, report=report)
    index, measurements = load_index(indexed), indexed.about["facts"]
    recall, milliseconds = measurements["recall@20"], measurements["query_ms_p50"]
    yield f"  indexed   {index.spec} of {_INDEXED}, recall@20 {recall:.3f}, {milliseconds:.2f} ms a query"
    yield ""

    models = {name: load_model(artifact) for name, artifact in trained.items()}
    yield from _similar(source, models)
    yield from _next_items(source, models)
    comparison = _compare(train, trained, models, seed, report)
    yield f"next {source.item}: the held-out last one of {about['sessions']:,} sessions, all {source.item}s ranked"
    for row in comparison["rows"]:
        yield f"  {row['model']:13} recall@{_K} {row[f'recall@{_K}']:.3f}   MRR@{_K} {row[f'mrr@{_K}']:.3f}"
    yield from wrap(summarise_comparison(comparison["rows"]) or "", 78, initial_indent="  ", subsequent_indent="  ")
    yield ""

    similar, page = (workspace.inside(workspace.root / name) for name in ("similar.txt", "report.html"))
    with atomic_file(similar) as out:
        lines = write_similarity(index, out, _K, report=report)
    content = collect_report(
        workspace,
        train.name,
        list(trained),
        [indexed.name],
        ReportSettings((*source.known, *source.history), curves=True, seed=seed),
        comparison=comparison,
        report=report,
    )
    write_page(page, source.title, content, command=command)
    yield f"exported  {lines:,} lines of neighbours to {similar}"
    yield f"          sessions, models and index are in {workspace.root}; {perf_counter() - started:.0f} s in all"
    yield f'try next  embedrec similar "{source.known[0]}" --workspace {workspace.root}'
    yield "          embedrec prepare --help   (playlists, ratings, or any table of your own)"
    yield "open the report: all of this as one page, with a map of the items"
    yield f"          python3 -m webbrowser {page.absolute().as_uri()}"


def _prepare(source: Source, workspace: Workspace, report: Report) -> Artifact:
    """The sessions artifact of the training part; its held-out part is the last item of every session."""
    prepared = prepare_sessions(
        source.reader,
        reader(source.reader)(**source.settings),
        [source.path],
        workspace.folder("sessions", "all"),
        source.filters,
        ReadSettings(report=report),
    )
    return write_split(prepared, workspace.folder("sessions", "train"), LastItem())[0]


def _similar(source: Source, models: dict[str, Any]) -> Iterator[str]:
    """The neighbours of the known items, one column per model."""
    for item in source.known:
        lists = []
        for name in _COLUMNS:
            model = models[name]
            lists.append(_names(model.neighbours(find_items(model.vocab, [item]), _SHOWN)))
        yield from _lists("similar to", (item,), lists, source)


def _next_items(source: Source, models: dict[str, Any]) -> Iterator[str]:
    """The recommendations for the history, one column per model."""
    lists = []
    for name in _COLUMNS:
        vocab = models[name].vocab
        history = Sessions.of_lists([vocab.ids[find_items(vocab, source.history)].tolist()], vocab)
        lists.append(_names(models[name].recommend(history, _SHOWN)))
    yield from _lists("next after", source.history, lists, source)


def _names(top: TopK) -> list[str]:
    return [top.vocab.name(row) for row in top.rows[0].tolist() if row >= 0]


def _lists(what: str, items: Sequence[str], lists: Sequence[Sequence[str]], source: Source) -> Iterator[str]:
    """A title and the lists; names of another group than the first item have their group in brackets."""
    group = source.group(items[0])
    yield f"{what} {', '.join(items)}" + (f" [{group}]" if group else "")
    labelled = [
        [name if source.group(name) == group else f"{name} [{source.group(name)}]" for name in names] for names in lists
    ]
    yield from side_by_side(_COLUMNS, labelled)
    yield ""


def side_by_side(heads: Sequence[str], lists: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lists of names as columns under their heads; a long name continues on the next line."""
    yield _columns(heads)
    for names in zip_longest(*lists, fillvalue=""):
        cells = [wrap(name, _WIDTH - 2, subsequent_indent="  ") for name in names]
        for parts in zip_longest(*cells, fillvalue=""):
            yield _columns(parts)


def _columns(cells: Sequence[str]) -> str:
    return "  " + "".join(cell.ljust(_WIDTH) for cell in cells).rstrip()


def _compare(
    train: Artifact, trained: dict[str, Artifact], models: dict[str, Any], seed: int, report: Report
) -> dict[str, Any]:
    """The record of the comparison of all models on the held-out items."""
    options = EvaluationOptions(at=(1, 5, 10, _K), seen="remove", seed=seed)
    task = options.open_task(train)
    settings = options.settings(task)
    done = {}
    for name, model in models.items():
        evaluated = EvaluatedModel(name, model, trained[name].about["seconds"], "trained before, on the training part")
        done[name] = evaluated, evaluate_task(task, model, settings, report=report)
    shown = default_metrics(_K, labelled=False)
    return {**describe_task(task, settings), **comparison_record(done, shown, task.train)}
