"""`similar` and `export` without vectors: from models, by name or because they are the newest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run, walked


def test_train_says_what_it_left_out(run: Run, counted: Path) -> None:
    ran = walked(run, "train", "cooccurrence", "--set", "min_count=2", "--name", "few")
    assert ran.err.splitlines() == [
        "using sessions log (sessions/log)",
        "vocabulary items=4 left_out=1",
        "wrote model few (models/few)",
    ]
    assert ran.rows[0][:2] == ["few", "4"]


def test_similar_from_counts(run: Run, counted: Path) -> None:
    ran = walked(run, "similar", "a", "d", "-n", 2)
    assert ran.out == "a\t1\tb\t3.0000\t\na\t2\tc\t2.0000\t\nd\t1\ta\t1.0000\t\nd\t2\tb\t1.0000\t\n"
    assert ran.err == "using model cooccurrence (models/cooccurrence)\n"
    named = walked(run, "similar", "e", "--model", "cooccurrence", "--json")
    assert named.out == '{"item": "e", "rank": 1, "similar": "d", "score": 1.0, "name": ""}\n'


def test_similar_says_why(run: Run, counted: Path) -> None:
    ran = walked(run, "similar", "a", "-n", 1, "--why", "--json")
    (said,) = map(json.loads, ran.out.splitlines())
    assert [cause["session"] for cause in said["why"]] == [2, 1, 0]
    assert ran.err.splitlines()[1] == "using sessions log (sessions/log)"


def test_export_from_counts(run: Run, counted: Path) -> None:
    ran = walked(run, "export", "similar.txt", "-n", 2)
    assert Path("similar.txt").read_bytes() == b"a b c\nb a c\nc a b\nd a b\ne d\n"
    assert ran.err == "using model cooccurrence (models/cooccurrence)\nwrote 5 lines to similar.txt\n"
    walked(run, "train", "cooccurrence", "--set", "measure=raw", "--set", "threshold=2", "--name", "often")
    assert walked(run, "export", "-", "-n", 9, "--model", "often").out == "a b c\nb a c\nc a b\nd\ne\n"


@pytest.mark.parametrize("model", ["ar", "sr", "svd", "word2vec"])
def test_other_models_answer_by_name(run: Run, counted: Path, model: str) -> None:
    small = {"svd": ("min_count=1", "dim=3"), "word2vec": ("min_count=1", "dim=3", "sample=0")}.get(model, ())
    walked(run, "train", model, *(word for pair in small for word in ("--set", pair)))
    assert "using model cooccurrence (" in walked(run, "similar", "a").err  # which is older, but made for this
    ran = walked(run, "similar", "b", "-n", 4, "--model", model)
    assert ran.err == f"using model {model} (models/{model})\n"
    near = [row[2] for row in ran.rows]
    assert "b" not in near and near[0] in ("a", "c", "d") and len(near) == {"ar": 3, "sr": 2}.get(model, 4)
    line = walked(run, "export", "-", "-n", 4, "--model", model).out.splitlines()[1]
    assert line == " ".join(["b", *near])


def test_the_newest_is_taken(run: Run, counted: Path) -> None:
    walked(run, "train", "svd", "--set", "dim=3", "--set", "min_count=1")
    walked(run, "build-index", "--type", "flat")
    assert walked(run, "similar", "a").err == "using index svd-flat (indexes/svd-flat)\n"
    walked(run, "train", "ar")
    assert walked(run, "similar", "a").err == "using index svd-flat (indexes/svd-flat)\n"
    walked(run, "train", "cooccurrence")
    assert walked(run, "similar", "a").err == "using model cooccurrence (models/cooccurrence)\n"
    assert "using model cooccurrence" in walked(run, "export", "-").err
    assert walked(run, "similar", "a", "--index", "svd-flat").err == "using index svd-flat (indexes/svd-flat)\n"


def test_an_index_keeps_the_dial(run: Run, counted: Path) -> None:
    """Exactly and through an index, the model's popularity decides."""
    walked(run, "train", "svd", "--set", "dim=2", "--set", "min_count=1", "--set", "popularity=1")
    walked(run, "build-index", "--type", "flat")
    exact = walked(run, "similar", *"abcde", "-n", 4, "--model", "svd").out
    assert walked(run, "similar", *"abcde", "-n", 4, "--index", "svd-flat").out == exact
    assert json.loads(walked(run, "info", "svd-flat", "--json").out)["metric"] == "dot"


def test_bad_input(run: Run, counted: Path) -> None:
    walked(run, "train", "popular")
    for command in (("similar", "a"), ("export", "x.txt")):
        ran = run(*command, "--model", "popular")
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.splitlines()[-1] == (
            "embedrec: model popular (popular) has no item neighbours; train word2vec or cooccurrence, or name "
            "another model with --model"
        )
        assert run(*command, "--model", "popular", "--index", "x").code == 2
        assert "did you mean 'cooccurrence'" in run(*command, "--model", "coocurence").err
    assert not Path("x.txt").exists()
    said = run("similar", "a", "--nprobe", 3).err.splitlines()[-1]
    assert said == "embedrec: nprobe is a setting of IVF indexes, but cooccurrence is a model; leave it out"
    said = run("similar", "a", "-n", 5).err.splitlines()[-1]
    assert said == "an item has 4 others in a catalogue of 5, fewer than the 5 of -n"
    said = run("build-index", "--model", "cooccurrence").err.splitlines()[-1]
    assert said.startswith("embedrec: model cooccurrence (cooccurrence) has no vectors")


def test_under_a_budget(run: Run, counted: Path) -> None:
    prints = {}
    for model in ("cooccurrence", "svd"):
        for memory in ([], ["--memory", "256M"]):
            walked(run, "train", model, "--set", "min_count=1", *memory)
            prints.setdefault(model, set()).add(json.loads(walked(run, "info", model, "--json").out)["fingerprint"])
    assert all(len(p) == 1 for p in prints.values())
    assert sorted(p.name for p in Path("models").iterdir()) == ["cooccurrence", "svd"]
    for words, says in (
        (("ar", "--memory", "1G"), "ar keeps all in memory; leave --memory out"),
        (("svd", "--memory", "1M"), "the memory budget must be at least 256M, but is 1048576 bytes"),
        (
            ("svd", "--memory", "much"),
            "a memory size is a number with K, M, G or T, such as 512M or 2G, but is 'much'",
        ),
        (("svd", "--from", "svd"), "svd cannot continue from a finished model; leave --from out"),
    ):
        ran = run("train", *words)
        assert (ran.code, ran.err.splitlines()[-1]) == (1, f"embedrec: {says}")
