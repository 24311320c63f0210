"""`embedrec compare`: exactly what it prints, and how it fails."""

from __future__ import annotations

import csv
import io
import json
from itertools import pairwise
from pathlib import Path

import pytest

from embedrec.models import MODELS
from tests.cli.conftest import CommandResult, Run, fails, succeed
from tests.cli.evaluation_cases import EVALUATE_NOTES
from tests.ranking.two_kinds import two_kinds


def rows_without_seconds(ran: CommandResult) -> list[list[str]]:
    """Rows without the columns of seconds."""
    return [row[:-2] for row in ran.rows]


def test_models_are_sorted_with_the_gap_to_the_best(run: Run, split: Path) -> None:
    result = succeed(run, "compare", "random", "sr", "popular", "--at", "1,3")
    head, best, *others = rows_without_seconds(result)
    assert head[:3] == ["model", "recall@3", "low"]
    # model, recall@3, low, high, mrr, ndcg, coverage, gap_to_best, low, high
    assert best == ["popular", "0.8333", "0.5000", "1.0000", "0.5556", "0.6270", "0.7500", *["0.0000"] * 3]
    assert [row[0] for row in others] == ["sr", "random"]
    for previous, row in pairwise([best, *others]):
        assert float(row[1]) <= float(previous[1])
        assert float(row[7]) == pytest.approx(float(best[1]) - float(row[1]), abs=2e-4)
        assert float(row[8]) <= float(row[7]) <= float(row[9])
    assert result.err == EVALUATE_NOTES + "".join(
        f"model {m}: trained now on the training part\n" for m in ("random", "sr", "popular")
    )


def test_csv_markdown_and_json_have_the_same_values(run: Run, split: Path) -> None:
    options = ("compare", "popular", "sr", "--at", "1,3", "--draws", 20)
    as_csv = list(csv.DictReader(io.StringIO(succeed(run, *options, "--csv").out)))
    columns = [
        "model",
        "recall@3",
        "low",
        "high",
        "mrr@3",
        "ndcg@3",
        "coverage@3",
        "gap_to_best",
        "gap_to_best_low",
        "gap_to_best_high",
    ]
    assert list(as_csv[0]) == [*columns, "train_seconds", "seconds"]
    assert [row["model"] for row in as_csv] == ["popular", "sr"]
    assert float(as_csv[0]["recall@3"]) == 5 / 6
    head, rule, *rows = succeed(run, *options, "--markdown").out.splitlines()
    assert head == "| " + " | ".join([*columns, "train_seconds", "seconds"]) + " |"
    assert rule == "| --- |" + " ---: |" * 11
    assert [row.split(" | ")[0] for row in rows] == ["| popular", "| sr"]
    assert rows[0].startswith(f"| popular | 0.8333 | {float(as_csv[0]['low']):.4f} | ")
    lines = [json.loads(line) for line in succeed(run, *options, "--json").out.splitlines()]
    for line, row in zip(lines, as_csv, strict=True):
        assert {c: line[c] for c in columns[1:]} == {c: float(row[c]) for c in columns[1:]}
        assert line["recall@3_low"] == line["low"] and line["questions"] == 6 and line["split"] == "time:share=0.25"


def test_metrics_may_be_chosen_without_intervals(run: Run, split: Path) -> None:
    result = succeed(
        run, "compare", "popular", "sr", "--at", "1,3", "--draws", 0, "--metrics", "coverage@3, mrr@1", "--csv"
    )
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert list(rows[0])[:6] == ["model", "coverage@3", "mrr@1", "gap_to_best", "gap_to_best_low", "gap_to_best_high"]
    assert rows[0]["gap_to_best_low"] == "" and float(rows[0]["mrr@1"]) >= float(rows[1]["mrr@1"])
    only = succeed(run, "compare", "popular", "sr", "--at", "3", "--draws", 0, "--metrics", "gini@3", "--csv").out
    assert only.splitlines()[0] == "model,gini@3,train_seconds,seconds"  # of all lists, so there is no paired gap


def test_settings_are_read_from_a_file_and_metrics_split_by_length(run: Run, split: Path) -> None:
    (split / "c.toml").write_text("[train.sr]\nsteps = 1\n[train.popular]\ndays = 0.01\n")
    options = ("--at", 3, "--draws", 0, "--config", "c.toml", "--by", "length", "--json")
    result = succeed(run, "compare", "popular", "sr", "random", *options)
    lines = [json.loads(line) for line in result.out.splitlines()]
    models, kinds = lines[:3], lines[3:]
    evaluated_alone = json.loads(
        succeed(run, "evaluate", "sr", "--set", "steps=1", "--at", 3, "--json", "--draws", 0).out
    )
    assert next(m for m in models if m["model"] == "sr")["mrr@3"] == evaluated_alone["mrr@3"]
    assert [(k["model"], k["length"]) for k in kinds] == [(m["model"], n) for m in models for n in "012"]


def test_every_model_is_compared(run: Run, split: Path) -> None:
    few = "candidates = 'sr=3,popular=3'\nwindow = 0.6\n"  # questions of nine sessions
    (split / "c.toml").write_text(
        "[train.word2vec]\ndim = 4\nepochs = 1\nmin_count = 1\nsample = 0\n"
        f"[train.fusion]\n{few}[train.ranker]\n{few}trees = 2\nmin_leaf = 1\n"
    )
    result = succeed(run, "compare", *MODELS, "--at", "1,3", "--draws", 10, "--config", "c.toml")
    _, *rows = result.rows
    assert sorted(row[0] for row in rows) == sorted(MODELS)
    scores = [float(row[1]) for row in rows]
    assert scores == sorted(scores, reverse=True)


def test_unknown_metrics_are_refused_before_training(run: Run, split: Path) -> None:
    result = run("compare", "popular", "sr", "--at", 3, "--metrics", "mrr@20")
    assert result.code == 1 and "model " not in result.err


def test_a_settings_file_without_a_table_is_refused(run: Run, split: Path) -> None:
    (split / "c.toml").write_text("train = 5\n")
    assert fails(run, "compare", "popular", "--at", 3, "--config", "c.toml") == "[train] must be a table, but is 5"


def test_a_composite_takes_the_models_that_are_compared_with_it(run: Run, tmp_path: Path) -> None:
    two_kinds(200).save(tmp_path / "sessions" / "s", {})
    workspace = ("--workspace", tmp_path)
    succeed(run, "compare", "popular", "sr", "fusion", "--split", "tail", "--config", _fusion(tmp_path), *workspace)
    kept = sorted(folder.name.partition("-")[0] for folder in (tmp_path / "models" / "parts").iterdir())
    assert kept == ["ar", "ar", "sr", "sr"]  # each before the window, and on all training sessions
    again = succeed(run, "compare", "sr", "popular", "--split", "tail", *workspace)
    assert "model sr: trained before on the training part, as a part of a composite model\n" in again.err
    assert "model popular: trained now on the training part\n" in again.err


def _fusion(folder: Path) -> Path:
    file = folder / "fusion.toml"
    file.write_text('[train.fusion]\ncandidates = "sr=20,ar=20"\nwindow = 0.3\n')
    return file
