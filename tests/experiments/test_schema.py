"""Tables of an experiment's file: defaults and bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from embedrec.config import build
from embedrec.errors import SettingsError
from embedrec.experiments.schema import Compare, Evaluate, Report, Row, Table
from embedrec.workflows.evaluation_options import EvaluationOptions


def test_defaults_are_those_of_the_commands() -> None:
    evaluation = EvaluationOptions()
    assert (evaluation.at, evaluation.ties, evaluation.unknown, evaluation.draws) == (
        None,
        "conservative",
        "miss",
        1000,
    )
    assert Evaluate(model="sknn").neighbours == (10, 25, 50, 75, 100, 125, 150)
    assert (Compare().models, Compare().metrics) == ((), ())
    assert (Report().file, Report().map) == ("report.html", "auto")


def test_tables_of_the_file_are_parsed() -> None:
    rows = [{"label": "word2vec", "model": "vectors", "article": [".1"]}, {"label": "sessions", "fact": "sessions"}]
    table = build(Table, {"title": "A", "columns": ["mrr@10"], "rows": rows}, source="[[table]]")
    assert table.rows == (
        Row(label="word2vec", model="vectors", article=(".1",)),
        Row(label="sessions", fact="sessions"),
    )
    assert (table.columns, table.digits, table.note) == (("mrr@10",), 4, "")
    assert build(EvaluationOptions, {"at": [5, 10], "seen": "keep"}, source="[ask]") == EvaluationOptions(
        at=(5, 10), seen="keep"
    )


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda: EvaluationOptions(draws=-1), "draws must be at least 0, but is -1"),
        (lambda: EvaluationOptions(given=0), "given must be at least 1, but is 0"),
        (lambda: EvaluationOptions(at=(5, 0)), "list lengths must be at least 1, but are (5, 0)"),
        (lambda: Evaluate(model="a", seed=-1), "seed must be a whole number from 0 to 9223372036854775807, but is -1"),
        (lambda: Report(seed=2**63), f"seed must be a whole number from 0 to 9223372036854775807, but is {2**63}"),
        (lambda: Table(title="A", digits=18), "digits must be between 0 and 17, but is 18"),
    ],
)
def test_values_out_of_bounds_are_refused(create: Callable[[], Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        create()
    assert str(error.value) == message
