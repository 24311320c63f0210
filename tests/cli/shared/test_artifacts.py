"""Which artifacts commands use, with two data sets in a workspace and with stale artifacts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.cli.conftest import BIG_LOG, SVD, Run, succeed
from tests.test_corruption import sign

ALSO = "there is also model cooccurrence of sessions small, which is newer; --model cooccurrence selects it"


def test_the_default_artifact_is_of_the_first_data_set(run: Run, two_logs: Path) -> None:
    result = succeed(run, "export", "similar.txt", "-n", 2)
    assert result.err.splitlines()[:2] == ["using index svd-flat (indexes/svd-flat)", ALSO]
    assert {line[0] for line in Path("similar.txt").read_text().splitlines()} == set("abcde")
    assert succeed(run, "similar", "a", "-n", 1).err.splitlines()[1] == ALSO
    message = succeed(run, "publish", "parquet", "out", "--items", "neighbours").err
    assert "using index svd-flat" in message and ALSO in message
    named = succeed(run, "similar", "x", "-n", 1, "--model", "cooccurrence")
    assert (named.rows[0][2], named.err) == ("y", "using model cooccurrence (models/cooccurrence)\n")


def test_the_newest_artifact_of_the_same_data_is_the_default(run: Run, two_logs: Path) -> None:
    succeed(run, "train", "cooccurrence", "--sessions", "big", "--name", "counts")
    assert succeed(run, "similar", "a", "-n", 1).err.splitlines() == [
        "using model counts (models/counts)",
        "there is also model cooccurrence of sessions small; --model cooccurrence selects it",
    ]
    succeed(run, "split", "last-item", "--sessions", "big")
    assert succeed(run, "train", "cooccurrence", "--sessions", "big-last-item", "--name", "parts").code == 0
    assert "using model parts" in succeed(run, "similar", "a", "-n", 1).err
    succeed(run, "train", *SVD, "--sessions", "small", "--name", "other")
    succeed(run, "build-index", "--type", "flat", "--model", "other")  # the data of the newest index is the default
    assert succeed(run, "similar", "x", "-n", 1).err.startswith("using index other-flat")


def test_artifacts_of_other_data_are_noted(run: Run, two_logs: Path) -> None:
    for command in (("train", "popular"), ("split", "last-item")):
        assert succeed(run, *command).err.splitlines()[:2] == [
            "using sessions small (sessions/small)",
            "there is also sessions big; --sessions big selects it",
        ]
    assert "there is also model svd of sessions big; --model svd selects it" in succeed(run, "recommend", "x").err
    assert "there is also model" not in succeed(run, "recommend", "a", "--model", "svd").err
    result = succeed(run, "train", "svd", "--set", "dim=2", "--set", "min_count=1", "--sessions", "small")
    assert result.err.splitlines()[1] == "model svd of sessions big will be replaced; give another --name to keep both"
    assert result.err.splitlines()[-1] == "index svd-flat derives from the old model svd and is now stale"
    assert "model svd was retrained after index svd-flat was built from it" in run("export", "x.txt").err


WHY = "model svd was retrained after index svd-flat was built from it; rebuild the index"


def test_a_stale_index_is_noted_and_refused_by_export_and_publish(run: Run, two_logs: Path) -> None:
    result = succeed(run, "train", "svd", "--set", "dim=3", "--set", "min_count=1", "--sessions", "big")
    assert result.err.splitlines()[-1] == "index svd-flat derives from the old model svd and is now stale"
    note = f"index svd-flat is stale: {WHY}"
    assert note in succeed(run, "similar", "a").err
    for command in (("export", "x.txt"), ("publish", "parquet", "out"), ("publish", "parquet", "out", "--dry-run")):
        result = run(*command)
        assert (result.code, result.out) == (1, "")
        assert result.err.splitlines()[-1] == f"embedrec: {note}, or use it anyway with --stale-ok"
        assert not Path(command[1]).exists() and not Path("out").exists()
    assert note in succeed(run, "export", "x.txt", "--stale-ok").err
    assert note in succeed(run, "publish", "parquet", "out", "--stale-ok").err
    (row,) = (row for row in succeed(run, "info").rows if row[1] == "svd-flat")
    assert row[3].endswith(f"; stale: {WHY}")
    assert json.loads(succeed(run, "info", "svd-flat", "--json").out)["stale"] == WHY
    assert [f"ok, but stale: {WHY}"] == [row[2] for row in succeed(run, "verify").rows if row[1] == "svd-flat"]
    assert [row[2] for row in succeed(run, "verify", "svd").rows] == ["ok"]
    succeed(run, "build-index", "--type", "flat", "--model", "svd")
    assert "stale" not in succeed(run, "export", "x.txt").err + succeed(run, "verify").out + succeed(run, "info").out


def test_a_model_of_changed_sessions_and_its_index_are_stale(run: Run, two_logs: Path) -> None:
    Path("big.csv").write_text(BIG_LOG + "9,a\n9,d\n")
    result = succeed(run, "prepare", "table", "big.csv")
    assert result.err.splitlines()[-1] == "model svd derives from the old sessions big and is now stale"
    why = "sessions big were prepared again after model svd was trained on them; retrain it"
    result = run("export", "x.txt", "--model", "svd")
    assert (result.code, result.err) == (
        1,
        f"embedrec: model svd is stale: {why}, or use it anyway with --stale-ok\n",
    )
    assert f"index svd-flat is stale: {why}, then index svd-flat" in succeed(run, "similar", "a").err
    assert f"model svd is stale: {why}" in succeed(run, "recommend", "a", "--model", "svd").err
    assert f"model svd is stale: {why}" in succeed(run, "build-index", "--model", "svd", "--type", "flat").err
    Path("big.csv").write_text(BIG_LOG)
    succeed(run, "prepare", "table", "big.csv")  # the same content again
    assert "stale" not in succeed(run, "export", "x.txt", "--index", "svd-flat").err + succeed(run, "verify").out


def test_a_model_with_other_settings_makes_its_index_stale(run: Run, compass: Path) -> None:
    """Only the metric changes, which no file of the model contains."""
    succeed(run, "vectors", "import", compass / "compass.txt", "--metric", "l2", "--workspace", compass)
    result = run("export", compass / "x.txt", "--workspace", compass)
    assert result.code == 1 and "index compass-flat is stale: model compass was retrained" in result.err


def test_an_index_without_its_model_is_not_stale(run: Run, two_logs: Path) -> None:

    shutil.rmtree("models/svd")
    shutil.rmtree("sessions/big")
    result = succeed(run, "export", "x.txt")
    assert result.err.splitlines()[:2] == ["using index svd-flat (indexes/svd-flat)", ALSO]  # the line is in the index
    assert "stale" not in result.err + succeed(run, "verify").out


def test_a_split_of_changed_sessions_is_stale(run: Run, two_logs: Path) -> None:
    succeed(run, "split", "last-item", "--sessions", "big")
    Path("big.csv").write_text(BIG_LOG + "9,a\n9,d\n")
    succeed(run, "prepare", "table", "big.csv")
    stale = [row for row in succeed(run, "verify").rows if row[1] == "big-last-item"]
    assert stale[0][2].endswith(
        "sessions big were prepared again after sessions big-last-item were split from them; split them again"
    )


def test_an_artifact_dated_in_the_future_is_noted(run: Run, counted: Path) -> None:
    sign(Path("models/cooccurrence"), lambda m: m.update(created="2999-01-01T00:00:00.000000+00:00"))
    result = succeed(run, "recommend", "a")
    assert "model cooccurrence is dated 2999-01-01, which is in the future, so it remains the latest" in result.err
