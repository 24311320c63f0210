"""The steps [prepare] and [split]."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embedrec.data import Sessions
from embedrec.data.filters import Filters
from embedrec.errors import DataError, SettingsError
from embedrec.experiments.parse import read_experiment
from embedrec.experiments.session_steps import Prepare, Split
from embedrec.experiments.step import Links, StepContext
from embedrec.progress import quiet
from embedrec.readers.mpd import Mpd
from embedrec.readers.table import Table
from tests.experiments.conftest import Opened


def prepare_step(context: StepContext, **options: Any) -> Prepare:
    own = {key: options.pop(key) for key in ("on_bad_row", "memory") if key in options}
    path = str(context.workspace.root / "log.csv")
    return Prepare(source="table", paths=(path,), name="log", options=options, **own)


def test_prepare_writes_sessions(context: StepContext) -> None:
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
    step = Split(rule="tail", name="parts", options={"share": 0.4}, links=Links(sessions="log"))
    events: list[tuple[str, str]] = []
    step.run(context, lambda event, **values: events.append((event, values["message"])))
    assert events and all(event == "note" and message.startswith("leak check: ") for event, message in events)
    assert context.workspace.find("sessions", "parts").about["test_sessions"] == 1
    assert step.settings()["settings"] == {"share": 0.4}


def test_settings_of_prepare_contain_reader_and_filters(open_experiment: Opened) -> None:
    prepare = open_experiment()[0].steps[0]
    assert isinstance(prepare, Prepare)
    assert prepare.reader == Mpd()
    assert prepare.filters == Filters(duplicates="all", duplicates_at="end")  # as of `embedrec prepare mpd`


def test_keys_are_distributed_to_reader_filters_and_rule(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(
        'seed = 7\n[prepare]\nsource = "table"\npaths = ["x.csv"]\nname = "x"\ntitle = "film"\nitem = "sku"\n'
        'kinds = ["buy"]\nmin_count = 3\ngap = "30min"\n[split]\nrule = "time"\ndays = 2\n'
    )
    prepare, split = read_experiment(tmp_path / "s.toml").steps
    assert isinstance(prepare, Prepare) and isinstance(split, Split)
    assert prepare.reader == Table(item="sku", name="film")
    assert prepare.filters == Filters(kinds=("buy",), min_count=3)
    assert (prepare.name, prepare.regroup.gap) == ("x", "30min")
    assert (split.name, split.split_rule.days, split.seed) == ("x-time", 2.0, 7)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda: Split(rule="tail", seed=True), "seed must be a whole number from 0 to "),
        (lambda: Split(rule="tial").split_rule, "no split rule is called 'tial'; did you mean 'tail'?"),
        (lambda: Prepare(source="table", paths=(), memory="much"), "a memory size is a number with K, M, G or T, "),
    ],
)
def test_invalid_values_are_refused(create: Callable[[], Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        create()
    assert str(error.value).startswith(message)
