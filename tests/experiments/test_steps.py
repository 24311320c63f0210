"""The steps [prepare], [split], [[train]], [[index]] and [[export]]."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embedrec.config import settings_of
from embedrec.data import Sessions
from embedrec.data.filters import Filters
from embedrec.errors import DataError, SettingsError, TargetNotMet
from embedrec.experiments import steps
from embedrec.experiments.parse import read_experiment
from embedrec.experiments.runner import run_experiment
from embedrec.experiments.step import Links, StepContext
from embedrec.models.serialization import load_item_vectors
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.progress import quiet
from embedrec.readers.mpd import Mpd
from embedrec.readers.table import Table
from embedrec.storage.workspace import Workspace
from tests.experiments.conftest import LIGHT, Finished, Opened, planned_steps, steps_run


def test_an_export_with_policies(opened: Opened, finished: Finished) -> None:
    _, context = finished
    more = '[[export]]\nfile = "near.tsv"\nindex = "vectors-flat"\nn = 3\nmin_score = 0.5\nmutual = true\n'
    experiment, _ = opened(LIGHT + more)
    assert steps_run(experiment, context) == ["export near.tsv"]
    lines = [line.split("\t") for line in (context.workspace.root / "near.tsv").read_text().splitlines()]
    assert lines and max(int(rank) for _, rank, *_ in lines if rank.isdecimal()) <= 3


@pytest.mark.parametrize("name", ["items.vec", "items.bin"])
def test_exports_of_vectors(opened: Opened, finished: Finished, name: str) -> None:
    from embedrec.vectors.file_formats import load_vectors

    experiment, context = opened(LIGHT + f'[[export]]\nfile = "{name}"\nmodel = "vectors"\n')
    assert steps_run(experiment, context) == [f"export {name}"]
    written, model = load_vectors(context.workspace.root / name), context.workspace.find("model", "vectors")
    vectors = load_item_vectors(model)
    assert set(written.vocab.ids) == set(vectors.vocab.ids)
    assert (written.vectors == vectors.vectors[vectors.vocab.rows(written.vocab.ids)]).all()
    assert planned_steps(experiment, context) == {}


def test_targets_of_an_index(opened: Opened, finished: Finished) -> None:
    more = '[[index]]\nmodel = "vectors"\ntarget_recall = ".9@5"\nmax_ram = "1G"\n'
    experiment, context = opened(LIGHT + more + 'name = "measured"\n')
    assert steps_run(experiment, context) == ["index measured"]
    facts = context.workspace.find("index", "measured").about["facts"]
    assert facts["promise"] == {"recall": 0.9, "k": 5, "p95_ms": None, "ram": 1 << 30} and facts["recall@5"] >= 0.9
    experiment, context = opened(LIGHT + (more + 'name = "small"\n').replace('"1G"', '"1K"'))
    with pytest.raises(TargetNotMet, match="step index small: "):
        run_experiment(experiment, context)


def test_settings_of_prepare_and_train(opened: Opened) -> None:
    experiment, _ = opened()
    prepare, _, _, train, *_ = experiment.steps
    assert isinstance(prepare, steps.Prepare) and isinstance(train, steps.Train)
    assert prepare.reader == Mpd()
    assert prepare.filters == Filters(duplicates="all", duplicates_at="end")  # as of `embedrec prepare mpd`
    assert [(r.window, r.min_count) for r in train.recipes] == [(2, 1), (2, 2), (5, 1), (5, 2)]  # type: ignore[attr-defined]
    assert train.recipes[0] == Word2Vec(dim=8, epochs=2, window=2, min_count=1)


def test_keys_of_reader_filters_and_rule(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(
        'seed = 7\n[prepare]\nsource = "table"\npaths = ["x.csv"]\nname = "x"\ntitle = "film"\nitem = "sku"\n'
        'kinds = ["buy"]\nmin_count = 3\ngap = "30min"\n[split]\nrule = "time"\ndays = 2\n'
    )
    prepare, split = read_experiment(tmp_path / "s.toml").steps
    assert isinstance(prepare, steps.Prepare) and isinstance(split, steps.Split)
    assert prepare.reader == Table(item="sku", name="film")
    assert prepare.filters == Filters(kinds=("buy",), min_count=3)
    assert (prepare.name, prepare.regroup.gap) == ("x", "30min")
    assert (split.name, split.split_rule.days, split.seed) == ("x-time", 2.0, 7)  # type: ignore[attr-defined]


@pytest.fixture
def context(tmp_path: Path) -> StepContext:
    """A workspace and a file of three sessions, the middle one short."""
    (tmp_path / "log.csv").write_text("session,item\n1,a\n1,b\n2,a\n3,b\n3,c\n3,a\n")
    return StepContext(Workspace(tmp_path), tmp_path / "studies" / "small")


def prepare_step(context: StepContext, **options: Any) -> steps.Prepare:
    own = {key: options.pop(key) for key in ("on_bad_row", "memory") if key in options}
    path = str(context.workspace.root / "log.csv")
    return steps.Prepare(source="table", paths=(path,), name="log", options=options, **own)


def test_prepare(context: StepContext) -> None:
    step = prepare_step(context, min_length=2)
    assert (step.id, step.output) == ("prepare", "log")
    assert step.path(context) == context.workspace.root / "sessions" / "log"
    step.run(context, quiet)
    sessions = Sessions.load(context.workspace.find("sessions", "log"))
    assert [sessions.vocab.ids[sessions[s]].tolist() for s in range(len(sessions))] == [["a", "b"], ["b", "c", "a"]]
    assert list(step.files()) == [str(context.workspace.root / "log.csv")]
    settings = step.settings()
    assert (settings["source"], settings["filters"]["min_length"], settings["regroup"]["by"]) == ("table", 2, "session")


def test_bad_rows_are_reported(context: StepContext) -> None:
    with (context.workspace.root / "log.csv").open("a") as file:
        file.write("4\n")
    messages: list[str] = []
    with pytest.raises(DataError, match="row 7"):
        prepare_step(context).run(context, quiet)

    def report(event: str, **values: Any) -> None:
        if event == "note":
            messages.append(values["message"])

    prepare_step(context, on_bad_row="skip").run(context, report)
    path = context.workspace.root / "log.csv"
    assert messages == [f"1 row left out: the row must have a value for every column (first: {path}, row 7)"]


def test_split_reports_the_leak_check(context: StepContext) -> None:
    prepare_step(context, min_length=1).run(context, quiet)
    step = steps.Split(rule="tail", name="parts", options={"share": 0.4}, links=Links(sessions="log"))
    events: list[tuple[str, str]] = []
    step.run(context, lambda event, **values: events.append((event, values["message"])))
    assert events and all(event == "note" and message.startswith("leak check: ") for event, message in events)
    assert context.workspace.find("sessions", "parts").about["test_sessions"] == 1
    assert step.settings()["settings"] == {"share": 0.4}


def test_train_index_and_export(context: StepContext) -> None:
    prepare_step(context, min_length=1).run(context, quiet)
    links = Links(sessions="log")
    train = steps.Train(model="svd", name="svd", set={"dim": 2, "min_count": 1}, links=links)
    assert train.settings() == {"model": "svd", "memory": None, "seed": 0, "settings": settings_of(train.recipes[0])}
    train.run(context, quiet)
    steps.Index(model="svd", type="flat", name="svd-flat", links=links).run(context, quiet)
    assert context.workspace.find("index", "svd-flat").about["spec"] == "Flat"
    export = steps.Export(file="out/similar.txt", index="svd-flat", n=1)
    assert (export.id, export.output) == ("export out/similar.txt", "out/similar.txt")
    export.run(context, quiet)
    lines = (context.workspace.root / "out" / "similar.txt").read_text().splitlines()
    assert [line.split(" ")[0] for line in lines] == ["a", "b", "c"]
    assert all(len(line.split(" ")) == 2 for line in lines)
    steps.Export(file="items.vec", model="svd").run(context, quiet)
    assert (context.workspace.root / "items.vec").read_text().startswith("3 2\na ")


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (
            lambda: steps.Train(model="ar", memory="much"),
            "a memory size is a number with K, M, G or T, ",
        ),
        (
            lambda: steps.Index(model="ar", seed=-1),
            "seed must be a whole number from 0 to ",
        ),
        (
            lambda: steps.Split(rule="tail", seed=True),
            "seed must be a whole number from 0 to ",
        ),
        (lambda: steps.Train(model="arr").recipes, "no model is called 'arr'; did you mean 'ar'?"),
        (
            lambda: steps.Train(model="ar", name="x", set={"stps": 1}).recipes,
            "unknown setting 'stps' in [[train]] x",
        ),
        (lambda: steps.Split(rule="tial").split_rule, "no split rule is called 'tial'; did you mean 'tail'?"),
        (lambda: steps.Export(file="x.txt", format="tvs").lists, "unknown format 'tvs'; did you mean 'tsv'?"),
        (lambda: steps.Index(model="a", nprobe=0).search, "nprobe must be at least 1, but is 0"),
        (
            lambda: steps.Index(model="a", max_p95="fast").target,
            "a time must be a number with us, ms or s",
        ),
    ],
)
def test_values_that_are_refused(create: Callable[[], Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        create()
    assert str(error.value).startswith(message)
