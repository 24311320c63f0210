"""The step [[table]]: cells, values of articles, facts of the sessions, and Markdown."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import SettingsError
from embedrec.experiments.evaluation_steps import COMPARISON, Comparison, NeighbourGrid
from embedrec.experiments.result_tables import ResultTables, markdown, session_facts
from embedrec.experiments.schema import Evaluate, Row, Table
from embedrec.experiments.step import StepContext
from embedrec.progress import quiet
from embedrec.splitting.rules import Tail
from embedrec.storage import artifacts
from embedrec.storage.workspace import Workspace
from embedrec.workflows.evaluation_options import EvaluationOptions
from embedrec.workflows.split import write_split
from tests.conftest import of_lists
from tests.experiments.conftest import Finished

METRICS = {
    "popular": {"recall@10": 0.12345, "mrr@10": 0.5, "diversity@10": None},
    "vectors": {"recall@10": 0.25, "mrr@10": 1.0, "diversity@10": 0.75},
}
COMPARE = Comparison("compare", EvaluationOptions(), ("popular", "vectors"), (), "plays", ())
GRID = NeighbourGrid(Evaluate(model="sknn", name="grid"), "plays", ())


@pytest.fixture
def context(tmp_path: Path) -> StepContext:
    """A context with the comparison METRICS and a grid of two by two cells."""
    context = StepContext(Workspace(tmp_path), tmp_path / "studies" / "small")
    with artifacts.writing(COMPARE.path(context), "comparison", {}) as draft:
        draft.path(COMPARISON).write_text(json.dumps({"metrics": METRICS}))
    with artifacts.writing(GRID.path(context), "grid", {}) as draft:
        draft.path("grid.csv").write_text("neighbours,k,hit_rate,mrr\n5,1,.5,.25\n5,2,.75,.5\n10,1,1,1\n10,2,0,0\n")
    return context


def rows_of(context: StepContext, *tables: Table) -> list[list[dict[str, str]]]:
    """The rows of tables as the step writes them."""
    step = ResultTables(tables, "plays", "plays", "prepare", (("", COMPARE), ("grid", GRID)))
    step.run(context, quiet)
    return [table["rows"] for table in artifacts.read(step.path(context), "tables").json("tables.json")]


def test_a_table_has_a_row_per_model(context: StepContext) -> None:
    rows = (Row(label="most popular", model="popular"), Row(label="word2vec", model="vectors"), Row(label="none"))
    table = Table(title="A", columns=("recall@10", "diversity@10"), digits=3, rows=rows)
    assert rows_of(context, table) == [
        [
            {"": "most popular", "recall@10": "0.123", "diversity@10": "–"},
            {"": "word2vec", "recall@10": "0.250", "diversity@10": "0.750"},
            {"": "none", "recall@10": "–", "diversity@10": "–"},
        ]
    ]


def test_values_of_an_article_follow_each_column(context: StepContext) -> None:
    """Missing values of the article are dashes; without an article in any row there is no such column."""
    rows = (Row(label="a", model="popular", article=(".1",)), Row(label="b", model="vectors"))
    assert rows_of(context, Table(title="A", columns=("recall@10", "mrr@10"), digits=2, rows=rows)) == [
        [
            {"": "a", "recall@10": "0.12", "recall@10, article": ".1", "mrr@10": "0.50", "mrr@10, article": "–"},
            {"": "b", "recall@10": "0.25", "recall@10, article": "–", "mrr@10": "1.00", "mrr@10, article": "–"},
        ]
    ]


def test_columns_may_be_models_and_cells_several_metrics(context: StepContext) -> None:
    row = Row(label="all", models=("vectors", "popular"), article=("1/2",))
    table = Table(title="A", columns=("ours", "base"), metrics=("recall@10", "mrr@10"), digits=1, rows=(row,))
    assert rows_of(context, table) == [
        [{"": "all", "ours": "0.2/1.0", "ours, article": "1/2", "base": "0.1/0.5", "base, article": "–"}]
    ]


def test_a_grid_has_a_row_per_number_of_neighbours(context: StepContext) -> None:
    assert rows_of(context, Table(title="A", of="grid", digits=2)) == [
        [
            {"": "5 neighbours", "@1": "0.50/0.25", "@2": "0.75/0.50"},
            {"": "10 neighbours", "@1": "1.00/1.00", "@2": "0.00/0.00"},
        ]
    ]


def test_a_table_may_contain_facts_of_the_sessions(context: StepContext) -> None:
    sessions = of_lists(["ab", "abc", "abd", "bd"]).drop_unused_items()
    sessions.save(context.workspace.folder("sessions", "plays"), {"sessions": 4, "items": 4, "events": 10})
    write_split(
        context.workspace.find("sessions", "plays"), context.workspace.folder("sessions", "parts"), Tail(share=0.25)
    )
    facts = session_facts(context, "plays", "parts")
    expected = {
        "sessions": "4", "items": "4", "events": "10", "users": "–", "first": "–", "last": "–", "lengths.mean": "2.5",
        "lengths.max": "3", "sparsity": "0.375", "train.sessions": "3", "train.items": "4", "train.events": "8",
        "test.sessions": "1", "test.asked": "2",
    }  # fmt: skip
    assert {name: facts[name] for name in expected} == expected
    table = Table(title="Data", rows=(Row(label="playlists", fact="sessions", article=("400",)),))
    named = Table(title="Data", columns=("MPD",), rows=(Row(label="asked", fact="train.events"),))
    step = ResultTables((table, named), "plays", "parts", "split", ())
    step.run(context, quiet)
    first, second = artifacts.read(step.path(context), "tables").json("tables.json")
    assert first["rows"] == [{"": "playlists", "here": "4", "here, article": "400"}]
    assert second["rows"] == [{"": "asked", "MPD": "8"}]
    wrong = Table(title="Data", rows=(Row(label="a", fact="sesions"),))
    with pytest.raises(SettingsError, match=r"^no fact of the sessions is called 'sesions'; did you mean 'sessions'"):
        ResultTables((wrong,), "plays", "parts", "split", ()).run(context, quiet)


def test_tables_depend_on_the_steps_of_their_cells() -> None:
    metrics = Table(title="A", columns=("mrr@10",), rows=(Row(label="a", model="popular"),))
    facts = Table(title="B", rows=(Row(label="a", fact="sessions"),))
    grid = Table(title="C", of="grid")

    def dependencies(*tables: Table) -> tuple[str, ...]:
        return ResultTables(tables, "plays", "plays", "split", (("", COMPARE), ("grid", GRID))).after

    assert dependencies(facts) == ("split",)
    assert dependencies(facts, metrics) == ("split", "compare")
    assert dependencies(grid) == ("split", "evaluate grid")
    assert dependencies(grid, metrics) == ("split", "compare", "evaluate grid")


def test_settings_contain_the_tables(context: StepContext) -> None:
    table = Table(title="A", columns=("mrr@10",), rows=(Row(label="a", model="popular"),))
    step = ResultTables((table,), "plays", "plays", "split", (("", COMPARE),))
    assert step.settings() == {"tables": [asdict(table)]}
    assert step.files() == {}
    assert step.path(context) == context.folder / "tables"


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"title": "A", "rows": [], "note": ""}, "## A\n\n"),
        (
            {"title": "A", "rows": [{"": "a|b", "x": "1"}, {"": "c", "x": "–"}], "note": "A note."},
            "## A\n\n|  | x |\n| --- | ---: |\n| a\\|b | 1 |\n| c | – |\n\nA note.\n",
        ),
    ],
)
def test_tables_are_written_as_markdown(table: dict[str, Any], text: str) -> None:
    assert markdown(table) == text


def test_tables_contain_the_metrics_of_the_comparison(finished: Finished) -> None:
    """Beside them are the values of the article."""
    _, context = finished
    results, data = json.loads((context.folder / "tables" / "tables.json").read_text())
    metrics = json.loads((context.folder / "compare" / "comparison.json").read_text())["metrics"]
    popular, vectors = (f"{metrics[name]['recall@10']:.4f}" for name in ("popular", "vectors"))
    mrr = [f"{metrics[name]['mrr@10']:.4f}" for name in ("popular", "vectors")]
    headers = ["", "recall@10", "recall@10, article", "mrr@10", "mrr@10, article"]
    assert [list(row) for row in results["rows"]] == [headers, headers]
    assert [list(row.values()) for row in results["rows"]] == [
        ["most popular", popular, ".1", mrr[0], ".2"],
        ["word2vec", vectors, "–", mrr[1], "–"],
    ]
    assert [list(row.values()) for row in data["rows"]] == [["playlists", "300", "400"], ["asked", "60", "–"]]
    text = (context.folder / "tables" / "tables.md").read_text()
    assert text.startswith("## What comes next\n\n|  | recall@10 | recall@10, article |")
    assert "\nNothing is like it.\n" in text
