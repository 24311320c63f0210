"""configs/: every file contains the defaults of its model, and trains it; or has settings of Spark."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from embedrec.cli.shared.engine_options import read_profile
from embedrec.datasets.synthetic import make_world, write_mpd
from embedrec.models import MODELS, recipe_class
from embedrec.ranking.parts import COMPOSITES
from embedrec.workflows.train import recipe_of
from tests.docs.markdown import ROOT
from tests.docs.shell import succeed

SPARK = sorted((ROOT / "configs").glob("spark-*.toml"))


@pytest.mark.parametrize("config", sorted({*(ROOT / "configs").glob("*.toml")} - {*SPARK}), ids=lambda p: p.name)
def test_every_config_trains(config: Path, tmp_path: Path) -> None:
    write_mpd(make_world(seed=1, genres=4, artists_per_genre=12, playlists=300), tmp_path / "mpd")
    succeed("embedrec prepare mpd mpd", tmp_path)
    (model,) = tomllib.loads(config.read_text())["train"]
    briefly = "--set epochs=1" if any(f.name == "epochs" for f in fields(recipe_class(model))) else ""
    force = "--force" if model in COMPOSITES else ""  # so few sessions do not show which model is better
    succeed(f"embedrec train {model} --config {config} {briefly} {force}", tmp_path)


@pytest.mark.parametrize("model", list(MODELS))
def test_every_config_contains_the_defaults(model: str) -> None:
    recipe = recipe_class(model)
    assert recipe_of(recipe, ROOT / "configs" / f"{model}.toml", []) == recipe()


@pytest.mark.parametrize("config", SPARK, ids=lambda p: p.name)
def test_settings_of_spark(config: Path) -> None:
    """Both tables can be read, and their sizes and numbers have the forms of Spark."""
    for name, master in (("machine", r"local\[\d+\]"), ("cluster", "spark://host:7077")):
        settings = read_profile(f"{config}:{name}")
        assert re.fullmatch(master, settings.master or "")
        assert settings.conf == dict(sorted(settings.conf.items()))
        for key, value in settings.conf.items():
            form = {"memory": r"\d+g", "memoryOverhead": r"\d+g", "maxResultSize": r"\d+g", "dir": "/.*"}
            assert re.fullmatch(form.get(key.rpartition(".")[2], r"\d+s?|true"), value), key
