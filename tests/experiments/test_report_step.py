"""The step [report]."""

from __future__ import annotations

from embedrec.experiments.report_step import ReportStep
from embedrec.experiments.schema import Report
from tests.experiments.conftest import LIGHT, Finished, Opened, planned_steps, steps_run
from tests.html_report.reading import read_page


def test_a_report_has_settings_and_a_path(open_experiment: Opened) -> None:
    experiment, context = open_experiment(LIGHT + '[report]\nfile = "out/page.html"\nitems = ["a"]\n')
    step = experiment.steps[-1]
    assert isinstance(step, ReportStep)
    assert (step.id, step.output, step.files()) == ("report", "out/page.html", {})
    assert step.path(context) == context.workspace.root / "out" / "page.html"
    assert step.table == Report(file="out/page.html", items=("a",))
    assert step.settings() == {
        "file": "out/page.html", "items": ("a",), "label": None, "map": "auto", "seed": 0, "title": "A small experiment"
    }  # fmt: skip
    assert (step.models, step.indexes) == (("popular", "vectors", "cooccurrence"), ("vectors-flat",))
    assert step.comparison is not None and step.comparison.id == "compare"
    assert step.tables is not None and step.tables.id == "tables"


def test_without_a_comparison_the_last_evaluation_is_reported(open_experiment: Opened) -> None:
    text = LIGHT[: LIGHT.index("[compare]")] + "[report]\n"
    step = open_experiment(text)[0].steps[-1]
    assert isinstance(step, ReportStep)
    assert step.comparison is not None and step.comparison.id == "evaluate vectors" and step.tables is None
    text = LIGHT[: LIGHT.index("[[evaluate]]")] + "[report]\n"
    step = open_experiment(text)[0].steps[-1]
    assert isinstance(step, ReportStep) and step.comparison is None


def test_the_page_shows_the_outputs_of_the_experiment(open_experiment: Opened, finished: Finished) -> None:
    experiment, context = open_experiment(LIGHT + '[report]\nmap = "pca"\n')
    assert steps_run(experiment, context) == ["report"]
    page = read_page((context.workspace.root / "report.html").read_text())
    assert page.texts.count("A small experiment") == 2  # title and heading
    for text in ("What comes next", "most popular", "vectors-flat", "cooccurrence"):
        assert text in page.texts, text
    assert planned_steps(experiment, context) == {}
    (context.workspace.root / "report.html").unlink()
    assert planned_steps(experiment, context) == {
        "report": f"run: {context.workspace.root}/report.html is missing or damaged"
    }
