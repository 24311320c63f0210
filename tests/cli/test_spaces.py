"""Spaces of vectors on the command line: exactly what `train --align`, `--frozen` and `build-index --space` print."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from embedrec.storage.workspace import Workspace
from embedrec.vectors.space import space_of
from tests.cli.conftest import Run, fails, succeed
from tests.workflows.refresh.nights import clicks

SMALL = ("--set", "dim=4", "--set", "epochs=3", "--set", "min_count=1")


@pytest.fixture
def nights(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The current folder, with the model word2vec of the sessions "old", and the newer sessions "all"."""
    monkeypatch.chdir(tmp_path)
    Path("old.csv").write_text(clicks(range(3)))
    Path("new.csv").write_text(clicks([3]))
    succeed(run, "prepare", "table", "old.csv")
    succeed(run, "train", "word2vec", *SMALL)
    succeed(run, "prepare", "table", "old.csv", "new.csv", "--name", "all")
    return Workspace(tmp_path)


def test_a_continued_model_is_aligned(run: Run, nights: Workspace) -> None:
    result = succeed(run, "train", "word2vec", "--from", "word2vec", "--align", "--name", "today")
    lines = result.err.splitlines()
    assert lines[:2] == ["using model word2vec (models/word2vec)", "using sessions all (sessions/all)"]
    assert (
        re.fullmatch(r"aligned: the mean cosine between both vectors of a common item is 0\.\d{4}", lines[-2])
        and lines[-1] == "wrote model today (models/today)"
    )
    old, new = nights.find("model", "word2vec"), nights.find("model", "today")
    assert space_of(new) == space_of(old) and new.about["aligned"] > 0.5
    assert result.rows[0][:2] == ["today", str(new.about["items"])]


def test_a_frozen_model_keeps_old_vectors(run: Run, nights: Workspace) -> None:
    result = succeed(run, "train", "word2vec", "--from", "word2vec", "--frozen", "--name", "frozen")
    assert result.err.splitlines()[-1] == "wrote model frozen (models/frozen)"
    assert result.rows[0][:2] == ["frozen", "28"]
    succeed(run, "vectors", "export", "old.txt", "--model", "word2vec")
    succeed(run, "vectors", "export", "new.txt", "--model", "frozen")
    old, new = (
        dict(line.split(" ", 1) for line in Path(f"{name}.txt").read_text().splitlines()[1:]) for name in ("old", "new")
    )
    assert old.items() < new.items() and new.keys() - old.keys() == {"new3"}


def test_what_cannot_be_kept_is_one_sentence(run: Run, nights: Workspace) -> None:
    train = ("train", "word2vec")
    assert fails(run, *train, "--align") == "--align needs the model whose space is kept; name it with --from"
    assert fails(run, *train, "--frozen") == "--frozen needs the model whose space is kept; name it with --from"
    both = (*train, "--from", "word2vec", "--align", "--frozen")
    assert fails(run, *both) == "--frozen vectors are in the old space already; leave --align out"
    longer = (*train, "--from", "word2vec", "--frozen", "--set", "epochs=9")
    assert fails(run, *longer) == "--frozen keeps the settings of model word2vec; leave --config and --set out"
    succeed(run, "train", "cooccurrence")
    lists = ("train", "cooccurrence", "--from", "cooccurrence")
    assert fails(run, *lists, "--align") == "cooccurrence has no vectors to align; leave --align out"
    assert fails(run, *lists, "--frozen").startswith("model cooccurrence (cooccurrence) has no vectors")


def test_an_index_serves_an_older_space(run: Run, nights: Workspace) -> None:
    succeed(run, "train", "word2vec", "--from", "word2vec", "--name", "next")
    old = space_of(nights.find("model", "word2vec"))
    result = succeed(run, "build-index", "--model", "next", "--type", "flat", "--space", old[:8], "--name", "older")
    assert result.err.splitlines()[-1] == "wrote index older (indexes/older)"
    assert space_of(nights.find("index", "older")) == old
    succeed(run, "build-index", "--model", "next", "--type", "flat", "--name", "own")
    assert space_of(nights.find("index", "own")) == space_of(nights.find("model", "next")) != old
    assert (
        succeed(run, "similar", "i1", "--index", "older").rows[0][:2]
        == succeed(run, "similar", "i1", "--index", "own").rows[0][:2]
    )
    message = fails(run, "build-index", "--model", "next", "--space", "0000")
    assert old[:12] in message
