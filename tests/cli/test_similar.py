"""`embedrec similar`: exactly what it prints, from indexes, vectors and counts."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run, fails, succeed


def test_neighbours_of_counts_are_printed(run: Run, counted: Path) -> None:
    result = succeed(run, "similar", "a", "d", "-n", 2)
    assert result.out == "a\t1\tb\t3.0000\t\na\t2\tc\t2.0000\t\nd\t1\ta\t1.0000\t\nd\t2\tb\t1.0000\t\n"
    assert result.err == "using model cooccurrence (models/cooccurrence)\n"
    named = succeed(run, "similar", "e", "--model", "cooccurrence", "--json")
    assert named.out == '{"item": "e", "rank": 1, "similar": "d", "score": 1.0, "name": ""}\n'


def test_why_names_sessions_for_counts(run: Run, counted: Path) -> None:
    result = succeed(run, "similar", "a", "-n", 1, "--why", "--json")
    (message,) = map(json.loads, result.out.splitlines())
    assert [cause["session"] for cause in message["why"]] == [2, 1, 0]
    assert result.err.splitlines()[1] == "using sessions log (sessions/log)"


@pytest.mark.parametrize("model", ["ar", "sr", "svd", "word2vec"])
def test_model_selects_the_model(run: Run, counted: Path, model: str) -> None:
    small = {"svd": ("min_count=1", "dim=3"), "word2vec": ("min_count=1", "dim=3", "sample=0")}.get(model, ())
    succeed(run, "train", model, *(word for pair in small for word in ("--set", pair)))
    assert "using model cooccurrence (" in succeed(run, "similar", "a").err  # which is older, but made for this
    result = succeed(run, "similar", "b", "-n", 4, "--model", model)
    assert result.err == f"using model {model} (models/{model})\n"
    neighbours = [row[2] for row in result.rows]
    assert (
        "b" not in neighbours
        and neighbours[0] in ("a", "c", "d")
        and len(neighbours) == {"ar": 3, "sr": 2}.get(model, 4)
    )
    line = succeed(run, "export", "-", "-n", 4, "--model", model).out.splitlines()[1]
    assert line == " ".join(["b", *neighbours])


def test_the_newest_source_is_the_default(run: Run, counted: Path) -> None:
    succeed(run, "train", "svd", "--set", "dim=3", "--set", "min_count=1")
    succeed(run, "build-index", "--type", "flat")
    assert succeed(run, "similar", "a").err == "using index svd-flat (indexes/svd-flat)\n"
    succeed(run, "train", "ar")
    assert succeed(run, "similar", "a").err == "using index svd-flat (indexes/svd-flat)\n"
    succeed(run, "train", "cooccurrence")
    assert succeed(run, "similar", "a").err == "using model cooccurrence (models/cooccurrence)\n"
    assert "using model cooccurrence" in succeed(run, "export", "-").err
    assert succeed(run, "similar", "a", "--index", "svd-flat").err == "using index svd-flat (indexes/svd-flat)\n"


def test_an_index_keeps_the_popularity_of_the_model(run: Run, counted: Path) -> None:
    """Exact search and the index use the popularity exponent of the model."""
    succeed(run, "train", "svd", "--set", "dim=2", "--set", "min_count=1", "--set", "popularity=1")
    succeed(run, "build-index", "--type", "flat")
    exact = succeed(run, "similar", *"abcde", "-n", 4, "--model", "svd").out
    assert succeed(run, "similar", *"abcde", "-n", 4, "--index", "svd-flat").out == exact
    assert json.loads(succeed(run, "info", "svd-flat", "--json").out)["metric"] == "dot"


def test_invalid_requests_are_refused(run: Run, counted: Path) -> None:
    succeed(run, "train", "popular")
    for command in (("similar", "a"), ("export", "x.txt")):
        result = run(*command, "--model", "popular")
        assert (result.code, result.out) == (1, "")
        assert result.err.splitlines()[-1] == (
            "embedrec: model popular (popular) has no item neighbours; train word2vec or cooccurrence, or name "
            "another model with --model"
        )
        assert run(*command, "--model", "popular", "--index", "x").code == 2
        assert "did you mean 'cooccurrence'" in run(*command, "--model", "coocurence").err
    assert not Path("x.txt").exists()
    message = run("similar", "a", "--nprobe", 3).err.splitlines()[-1]
    assert message == "embedrec: nprobe is a setting of IVF indexes, but cooccurrence is a model; leave it out"
    message = run("similar", "a", "-n", 5).err.splitlines()[-1]
    assert message == "an item has 4 others in a catalogue of 5, fewer than 5"
    message = run("build-index", "--model", "cooccurrence").err.splitlines()[-1]
    assert message.startswith("embedrec: model cooccurrence (cooccurrence) has no vectors")


def test_rows_are_tab_separated_in_a_pipe(run: Run, compass: Path) -> None:
    result = succeed(run, "similar", "north", "south", "-n", 2, "--workspace", compass)
    assert result.out == (
        "north\t1\tnorth-east\t0.8000\t\n"
        "north\t2\teast\t0.0000\t\n"
        "south\t1\tsouth-east\t0.6000\t\n"
        "south\t2\teast\t0.0000\t\n"
    )
    assert result.err == f"using index compass-flat ({compass}/indexes/compass-flat)\n"


def test_rows_are_json_objects(run: Run, compass: Path) -> None:
    result = succeed(run, "similar", "east", "-n", 1, "--json", "--workspace", compass)
    assert result.out == '{"item": "east", "rank": 1, "similar": "south-east", "score": 0.8, "name": ""}\n'


def test_integer_ids_are_json_numbers(run: Run, tmp_path: Path) -> None:
    import numpy as np

    from embedrec import Embeddings, Vocab
    from embedrec.vectors.file_formats import save_vectors

    vectors = np.array([[0, 1], [0.6, 0.8], [1, 0]], dtype=np.float32)
    save_vectors(Embeddings(vectors, Vocab(np.array([7, 8, 9]))), tmp_path / "v.parquet")
    succeed(run, "vectors", "import", tmp_path / "v.parquet", "--workspace", tmp_path)
    succeed(run, "build-index", "--type", "flat", "--workspace", tmp_path)
    result = succeed(run, "similar", 7, "--json", "--workspace", tmp_path)
    assert result.out.splitlines()[0] == '{"item": 7, "rank": 1, "similar": 8, "score": 0.8, "name": ""}'
    assert len(result.rows) == 2


def test_rows_are_a_table_on_a_terminal(compass: Path) -> None:
    command = [sys.executable, "-m", "embedrec", "similar", "north", "-n", "1", "--workspace", str(compass)]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "COLUMNS": "80"}
    subprocess.run(command, stdout=theirs, stderr=subprocess.DEVNULL, check=True, env=environment)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode().splitlines()
    os.close(ours)
    assert [line.split() for line in shown] == [
        ["item", "rank", "similar", "score", "name"],
        ["north", "1", "north-east", "0.8000"],
    ]


HEAVY_FOR_SIMILAR = {"torch", "gensim", "numba", "pandas", "scipy", "rich"}


def test_similar_imports_neither_numba_nor_pandas(compass: Path) -> None:
    script = (
        "import sys; from embedrec.cli.main import cli\n"
        f"cli.main(['similar', 'north', '-n', '1', '--workspace', {str(compass)!r}], standalone_mode=False)\n"
        "print(' '.join(sys.modules))"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {name.split(".")[0] for name in process.stdout.splitlines()[-1].split()} & HEAVY_FOR_SIMILAR


def test_why_names_sessions_for_vectors(shop_vectors: Path, run: Run) -> None:
    """Of the sessions with both items, the smallest first; s3 "xy", s4 "yx" and s5 "xyz" contain y and x."""
    succeed(run, "build-index", "--type", "flat")
    printed = succeed(run, "similar", "x", "-n", 1, "--why")
    assert printed.rows[0][2] in ("y", "z")
    result = [json.loads(line) for line in succeed(run, "similar", "x", "--why", "--json").out.splitlines()]
    message = {record["similar"]: record["why"] for record in result}
    assert message["y"] == [
        {"session": "s4", "similarity": 1.0},
        {"session": "s3", "similarity": 1.0},
        {"session": "s5", "similarity": 0.8165},
    ]
    assert message["z"] == [{"session": "s5", "similarity": 0.8165}] and message["a"] == []
    assert "using sessions shop (sessions/shop)" in printed.err


def test_popularity_changes_scores(shop_vectors: Path, run: Run) -> None:
    """0 is the cosine, 1 the dot product; an index with the same exponent gives the same neighbours."""
    exact = succeed(run, "similar", "a", "--model", "word2vec", "--popularity", 1).out
    assert exact != succeed(run, "similar", "a", "--model", "word2vec", "--popularity", 0).out
    assert succeed(run, "similar", "a", "--model", "word2vec", "--popularity", 0.2).out == (
        succeed(run, "similar", "a", "--model", "word2vec").out
    )
    succeed(run, "build-index", "--type", "flat", "--popularity", 1, "--name", "dialled")
    assert succeed(run, "similar", "a", "--index", "dialled").out == exact
    succeed(run, "export", "dialled.txt", "--index", "dialled")
    succeed(run, "export", "model.txt", "--model", "word2vec", "--popularity", 1)
    assert (shop_vectors / "dialled.txt").read_text() == (shop_vectors / "model.txt").read_text()
    dot_products = succeed(run, "recommend", "a", "--popularity", 1).rows
    cosine = succeed(run, "recommend", "a", "--popularity", 0).rows
    assert {row[1] for row in dot_products} == {row[1] for row in cosine}
    assert [row[2] for row in dot_products] != [row[2] for row in cosine]
    assert fails(run, "similar", "a", "--index", "dialled", "--popularity", 1) == (
        "--popularity cannot change the existing index dialled; name a model with --model, or rebuild the index with "
        "`embedrec build-index --popularity`"
    )
    assert "model sr (sr) has no vectors; leave --popularity out" in fails(
        run, "recommend", "a", "--model", "sr", "--popularity", 1
    )
    assert "leave --of sessions or --metric out" in fails(run, "build-index", "--popularity", 1, "--metric", "dot")
