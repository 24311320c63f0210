"""Words on the command line: ids with a minus, settings that are no options, help of models, completion, headers."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from embedrec.models import MODELS, recipe_class
from tests.cli.conftest import Run, walked


@pytest.fixture
def numbers(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose ids are numbers below zero, and one that is a word with a minus."""
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text("session,item\n1,-7\n1,-8\n2,-7\n2,-9\n3,-8\n3,-9\n")
    walked(run, "prepare", "table", "log.csv")
    walked(run, "train", "cooccurrence", "--set", "measure=raw")
    walked(run, "train", "sknn")
    return tmp_path


def test_ids_that_begin_with_a_minus(run: Run, numbers: Path) -> None:
    expected = walked(run, "similar", "-n", 1, "--", -7).out
    assert expected.startswith("-7\t1\t-")
    for words in (("similar", -7, "-n", 1), ("similar", "-n", 1, -7), ("similar", "-n1", "-7")):
        assert walked(run, *words).out == expected
    assert [row[0] for row in walked(run, "similar", -7, -8, "-n", 1).rows] == ["-7", "-8"]
    assert walked(run, "recommend", -7, "-8", "-n", 1, "--model", "sknn").rows[0][1] == "-9"
    assert walked(run, "neighbours", -7, "--model", "sknn").code == 0
    assert [row[0] for row in walked(run, "items", -7).rows] == ["-7"]
    ran = run("similar", -7, "-n", -1)
    assert ran.code == 2 and "-1 is not in the range" in ran.err
    ran = run("similar", -5)
    assert ran.code == 1 and "no item '-5'" in ran.err and "\0" not in ran.err
    for command in ("similar", "recommend", "neighbours", "items"):
        ran = run(command, "-abc")
        assert ran.code == 2 and f"an id that begins with '-' stands behind --, as in {command} -- -a" in ran.err


def test_settings_that_are_taken_for_options(run: Run, numbers: Path) -> None:
    for words, says in (
        (("word2vec", "--dim", "100"), "--dim is no option, but dim is a setting; give it as --set dim=100"),
        (("word2vec", "--dim=100"), "--dim is no option, but dim is a setting; give it as --set dim=100"),
        (("--min-count", "3", "word2vec"), "min_count is a setting; give it as --set min_count=3"),
        (("word2vec", "dim=100"), "settings are given with --set; write --set dim=100"),
        (("word2vec", "--dmi", "100"), "No such option"),
        (("word2vec", "dmi=100"), "unexpected extra argument"),
        (("word2vec", "more"), "unexpected extra argument"),
    ):
        ran = run("train", *words)
        assert ran.code == 2 and says in ran.err, ran.err


@pytest.mark.parametrize("model", list(MODELS))
def test_help_of_a_model(run: Run, model: str) -> None:
    ran = walked(run, "train", model, "--help")
    assert "Train MODEL on the latest sessions" in ran.out
    for field in fields(recipe_class(model)):
        assert f"  {field.name}=" in ran.out or f"  {field.name} " in ran.out
    assert f"Settings of {model}" in walked(run, "train", "-h", model).out


def test_help_without_a_model(run: Run) -> None:
    assert "`embedrec train MODEL --help` also shows the settings of a model" in walked(run, "train", "--help").out


def completed(line: str, folder: Path) -> list[str]:
    """What bash is told for a line whose last word is to be completed."""
    words = line.split(" ")
    script = (
        "import sys\nfrom embedrec.cli.main import main\n"
        "try:\n    main()\nfinally:\n"
        "    heavy = {'torch', 'faiss', 'gensim', 'numba', 'pandas', 'numpy', 'scipy', 'pyarrow'} & set(sys.modules)\n"
        "    print('heavy', *sorted(heavy), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=folder,
        env={
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "_EMBEDREC_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        },
        check=False,
    )
    assert done.stderr == "heavy\n"
    return [found.split(",", 1)[1] for found in done.stdout.splitlines()]


def test_completion_of_commands_options_and_artifacts(tmp_path: Path) -> None:
    for folder in (
        "models/w2v",
        "models/vsknn-old",
        "models/.draft",
        "indexes/w2v-ivf",
        "sessions/log",
        "other/models/x",
    ):
        (tmp_path / folder).mkdir(parents=True)
    for line, expected in (
        ("embedrec si", ["similar"]),
        ("embedrec similar --ind", ["--index"]),
        ("embedrec similar --index ", ["w2v-ivf"]),
        ("embedrec similar x --model v", ["vsknn-old"]),
        ("embedrec export x --workspace other --model ", ["x"]),
        ("embedrec train vsk", ["vsknn", "vsknn-old"]),
        ("embedrec train word2vec --sessions ", ["log"]),
        ("embedrec publish redis url --index ", ["w2v-ivf"]),
        ("embedrec info w", ["w2v", "w2v-ivf"]),
        ("embedrec update-index ", ["w2v-ivf"]),
        ("embedrec completion f", ["fish"]),
    ):
        assert completed(line, tmp_path) == expected, line


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(run: Run, shell: str) -> None:
    ran = walked(run, "completion", shell)
    assert "_EMBEDREC_COMPLETE" in ran.out and f"{shell}_complete" in ran.out and ran.err == ""
    assert run("completion", "tcsh").code == 2


def test_headers_in_pipes(run: Run, counted: Path) -> None:
    assert walked(run, "similar", "a", "-n", 1).out == "a\t1\tb\t3.0000\t\n"
    assert walked(run, "similar", "a", "-n", 1, "--header").out.splitlines() == [
        "item\trank\tsimilar\tscore\tname",
        "a\t1\tb\t3.0000\t",
    ]
    assert walked(run, "recommend", "a", "-n", 1, "--header").out.startswith("rank\titem\tscore\tname\n1\t")
    assert walked(run, "info", "--header").rows[0] == ["kind", "name", "created", "holds"]
    words = ("compare", "popular", "ar", "--split", "last-item", "--at", 1, "--draws", 0)
    ran = walked(run, *words)
    assert ran.rows[0][:2] == ["model", "recall@1"] and len(ran.rows) == 3
    assert walked(run, *words, "--no-header").rows[0][0] in ("popular", "ar")
    assert walked(run, *words, "--json").out.startswith("{")
