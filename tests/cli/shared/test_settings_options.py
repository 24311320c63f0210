"""Commands with settings of a model: their help, and hints on --set."""

from __future__ import annotations

from dataclasses import fields

import pytest

from embedrec.models import MODELS, recipe_class
from tests.cli.conftest import Run, succeed


def test_settings_given_as_options_suggest_set(run: Run) -> None:
    for words, message in (
        (("word2vec", "--dim", "100"), "no such option --dim, but dim is a setting; use --set dim=100"),
        (("word2vec", "--dim=100"), "no such option --dim, but dim is a setting; use --set dim=100"),
        (("--min-count", "3", "word2vec"), "min_count is a setting; use --set min_count=3"),
        (("word2vec", "dim=100"), "settings need --set; use --set dim=100"),
        (("word2vec", "--dmi", "100"), "No such option"),
        (("word2vec", "dmi=100"), "unexpected extra argument"),
        (("word2vec", "more"), "unexpected extra argument"),
    ):
        result = run("train", *words)
        assert result.code == 2 and message in result.err, result.err


@pytest.mark.parametrize("model", list(MODELS))
def test_help_of_a_model_lists_its_settings(run: Run, model: str) -> None:
    result = succeed(run, "train", model, "--help")
    assert "Train MODEL on the latest sessions" in result.out
    for field in fields(recipe_class(model)):
        assert f"  {field.name}=" in result.out or f"  {field.name} " in result.out
    assert f"Settings of {model}" in succeed(run, "train", "-h", model).out


def test_help_without_a_model_lists_the_models(run: Run) -> None:
    assert "`embedrec train MODEL --help` also shows the settings of a model" in succeed(run, "train", "--help").out
