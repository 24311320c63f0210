"""The experiments in configs/studies: each runs on toy data in the layout of its data set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from embedrec.config import read_toml
from embedrec.experiments import parse
from embedrec.experiments.runner import run_experiment, step_context
from embedrec.models import MODELS, recipe_class
from embedrec.ranking.parts import COMPOSITES
from embedrec.storage.workspace import Workspace
from tests.experiments.toys import write_toy
from tests.html_report.reading import read_page

STUDIES = Path(__file__).parents[2] / "configs" / "studies"
LAYOUTS = {
    "a-sscf-lastfm1k": "lastfm1k",
    "a-sscf-nowplaying": "sessions",
    "b-wsknn-movielens": "movielens",
    "c-gru4rec-movielens": "movielens",
    "c-gru4rec-mssd": "mssd",
    "c-gru4rec-mssd-sample": "mssd-sample",
    "c-gru4rec-nowplaying": "sessions",
    "d-artists-mpd": "mpd",  # its thresholds are of the full data set
    "d-artists-mpd-sample": "mpd",
    "e-two-tower-movielens": "movielens",
    "diginetica": "sessions",
    "hetrec": "hetrec",
    "movielens": "movielens",
    "mpd": "mpd",
    "mssd": "mssd-sample",
    "nowplaying": "sessions",
}
SMALL = {"epochs": 1, "dim": 8, "layers": "8", "n_sample": 16, "embedding_dim": 8, "patience": "none"}
UNLIKE = {"layers": {"neural-cf": "8,8"}, "n_sample": {}}


def small_experiment(config: Path) -> dict[str, Any]:
    """The tables of an experiment with small models, short training, and the first values of its grids."""
    given = read_toml(config)
    for one in given["train"]:
        names = {f.name for f in fields(recipe_class(one["model"]))}
        small = {key: UNLIKE.get(key, {}).get(one["model"], value) for key, value in SMALL.items() if key in names}
        one["set"] = one.get("set", {}) | small
        one["grid"] = {key: values[:1] for key, values in one.get("grid", {}).items() if key not in small}
        one["grid"] = dict(list(one["grid"].items())[:1]) if one in given["train"][:3] else {}
        one["best"] = f"recall@{given.get('ask', {}).get('at', [20])[-1]}"
    if "d-artists" in config.name:
        given["prepare"] |= {"min_count": 2, "top": 40}
    given["ask"] = given.get("ask", {}) | {"draws": 10}
    for one in given.get("evaluate", ()):
        one["at"] = [5, 10]
    return given


def tables_of(config: Path, folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    monkeypatch.setattr(parse, "read_toml", small_experiment)
    experiment = parse.read_experiment(config, data=str(data))
    context = step_context(experiment, Workspace(folder))
    run_experiment(experiment, context)
    yield from json.loads((context.folder / "tables" / "tables.json").read_text())


def test_all_experiments_are_tested() -> None:
    assert {path.stem for path in STUDIES.glob("*.toml")} == set(LAYOUTS)


@pytest.mark.parametrize("name", list(LAYOUTS))
def test_an_experiment_runs_on_toy_data(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_toy(LAYOUTS[name], tmp_path / "data")
    tables = list(tables_of(STUDIES / f"{name}.toml", tmp_path / "work", data, monkeypatch))
    assert tables
    for table in tables:
        assert table["rows"] and len({tuple(row) for row in table["rows"]}) == 1
    if (tmp_path / "work" / "report.html").exists():
        read_page((tmp_path / "work" / "report.html").read_text())


@pytest.mark.parametrize("name", ["diginetica", "hetrec", "movielens", "mssd", "nowplaying"])
def test_experiments_on_a_data_set_train_every_model(name: str) -> None:
    given = read_toml(STUDIES / f"{name}.toml")
    single = set(MODELS) - set(COMPOSITES)  # of which scripts/bench/ranking.py measures the composites
    assert {one["model"] for one in given["train"]} == single


def test_tables_contain_the_values_of_the_article() -> None:
    """Navon & Andrade (2019), table 2; and each cell contains the model of its row and column."""
    table = read_toml(STUDIES / "c-gru4rec-mssd.toml")["table"][0]
    printed = {row["label"]: row["article"] for row in table["rows"]}
    assert printed["Most popular"] == [".0696/.0095"] * 3
    assert printed["GRU4Rec one-hot"] == [".2400/.0240", ".1278/.0170", ".2132/.0205"]
    assert printed["GRU4Rec content-mlp"] == [".1640/.0191", ".0532/.0082", ".1101/.0119"]
    trained = {one["name"]: one["set"] for one in read_toml(STUDIES / "c-gru4rec-mssd.toml")["train"][1:]}
    for row in table["rows"][1:]:
        for model, loss in zip(row["models"], table["columns"], strict=True):
            assert trained[model]["loss"] == loss
            assert trained[model]["input"] == row["label"].removeprefix("GRU4Rec ").replace("one-hot", "onehot")
