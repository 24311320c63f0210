"""`embedrec prepare` of every source: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedrec.data import Sessions
from embedrec.splitting.holdout import HeldOut
from embedrec.storage import artifacts
from tests.cli.conftest import Run, fails, succeed
from tests.readers.reading import feature_values, write

_T = 1_462_752_000
_LASTFM = "".join(f"u\t2016-05-09T00:00:0{n}Z\t\tA\tt{n % 2}\tT\n" for n in range(4))
_MSSD_COLUMNS = "session_id,session_position,track_id_clean,skip_1,skip_2,skip_3,not_skipped,date,hour_of_day"
_SOURCES: dict[str, tuple[dict[str, str], list[str], str, str]] = {
    # files, arguments, name of the sessions, what is printed: sessions, items, events
    "mssd": (
        {
            "log.csv": f"{_MSSD_COLUMNS}\n"
            "s,2,b,false,false,false,true,2018-07-15,1\n"
            "s,1,a,true,true,true,false,2018-07-15,1\n"
        },
        ["{d}", "--skips", "binary", "--time", "hour"],
        "mssd",
        "1\t2\t2",
    ),
    "lastfm1k": ({"log.tsv": _LASTFM}, ["{d}", "--level", "track", "--gap", "1s"], "lastfm1k-track", "1\t2\t4"),
    "hetrec": ({"user_artists.dat": "userID\tartistID\tweight\n1\t2\t3\n1\t3\t4\n"}, ["{d}"], "hetrec", "1\t2\t2"),
    "recbole": (
        {
            "ml.inter": f"user_id:token\titem_id:token\ttimestamp:float\n1\t2\t{_T}\n1\t3\t{_T}\n",
            "ml.user": "user_id:token\n",
        },
        ["{d}"],
        "d",
        "1\t2\t2",
    ),
    "sessions": (
        {"train.tsv": f"SessionId\tItemId\tTime\n1\t2\t{_T}\n1\t3\t{_T}.5\n"},
        ["{d}/train.tsv"],
        "train",
        "1\t2\t2",
    ),
    "wsknn": (
        {"log.json": json.dumps({"s": [["a", "b", "c"], [_T, _T, _T], ["view", "cart", "scroll"]]})},
        ["{d}/log.json", "--actions", "view=1,cart=2"],
        "log",
        "1\t2\t2",
    ),
    "table": (
        {"t.csv": "visit,sku,at\nx,b,2\nx,a,1\n", "f.csv": "sku,price,brand\na,1.5,X\n", "u.csv": "visit,age\nx,30\n"},
        [
            *("{d}/t.csv", "--session", "visit", "--item", "sku", "--user", "visit", "--order", "at"),
            *("--item-features", "{d}/f.csv", "--user-features", "{d}/u.csv"),
        ],
        "t",
        "1\t2\t2",
    ),
}


@pytest.mark.parametrize("source", _SOURCES)
def test_every_source_is_prepared(run: Run, tmp_path: Path, source: str) -> None:
    files, arguments, name, message = _SOURCES[source]
    write(tmp_path / "d", files)  # type: ignore[arg-type]
    result = succeed(
        run, "prepare", source, *(a.replace("{d}", str(tmp_path / "d")) for a in arguments), "--workspace", tmp_path
    )
    assert result.out == message + "\n"
    artifact = artifacts.read(tmp_path / "sessions" / name, "sessions")
    assert artifact.about["source"] == source
    assert len(Sessions.load(artifact).items) == int(message.rpartition("\t")[2])


def test_the_artifact_and_info_contain_features(run: Run, tmp_path: Path) -> None:
    test_every_source_is_prepared(run, tmp_path, "table")
    sessions = Sessions.load(artifacts.read(tmp_path / "sessions" / "t"))
    assert feature_values(sessions.item_features) == {"a": {"price": 1.5, "brand": "X"}}
    assert feature_values(sessions.user_features) == {"x": {"age": 30}}
    assert sessions.vocab.ids[sessions[0]].tolist() == ["a", "b"]
    shown = succeed(run, "info", "t", "--workspace", tmp_path).out
    assert "item_features.numeric\tprice\n" in shown and "item_features.categorical\tbrand\n" in shown
    assert "user_features.numeric\tage\n" in shown
    assert json.loads(succeed(run, "info", "t", "--json", "--workspace", tmp_path).out)["item_features"] == {
        "numeric": ["price"],
        "categorical": ["brand"],
        "lists": [],
    }
    assert succeed(run, "verify", "--workspace", tmp_path).out == "sessions\tt\tok\n"


@pytest.fixture
def clicks(tmp_path: Path) -> Path:
    """A training table and a table of prefixes; no training session holds item 9 twice."""
    train = {"session": [0, 0, 1, 1, 2], "pos": [0, 1, 0, 1, 0], "item": [1, 2, 2, 3, 1]}
    pq.write_table(pa.table(train), tmp_path / "train.parquet")
    prefixes = pa.table({"prefix": [[1, 2, 9], [1, 2], [1], [3, 3]], "target": [4, 9, 2, 1]})
    pq.write_table(prefixes, tmp_path / "test.parquet")
    return tmp_path


def test_a_held_out_part_is_not_filtered(run: Run, clicks: Path) -> None:
    arguments = ("prepare", "sessions", clicks / "train.parquet", "--test", clicks / "test.parquet")
    result = succeed(run, *arguments, "--min-count", "2", "--rounds", "1", "--workspace", clicks)
    assert result.out == "1\t2\t2\n"
    assert f"--test {clicks}/test.parquet: 2 sessions, 7 events, 4 test cases\n" in result.err
    artifact = artifacts.read(clicks / "sessions" / "train", "sessions")
    assert artifact.about["split"] == {
        "rule": "given",
        "test": str(clicks / "test.parquet"),
        "checked": [line.removeprefix("leak check: ") for line in result.err.splitlines() if line.startswith("leak")],
    }
    assert len(artifact.about["split"]["checked"]) == 4
    assert [artifact.about[key] for key in ("test_sessions", "test_events", "questions")] == [2, 7, 4]
    test = HeldOut.load(artifact)
    assert test is not None and test.given.tolist() == [0, 2]
    ids = test.sessions.vocab.ids
    assert [ids[test.sessions[s]].tolist() for s in range(2)] == [[1, 2, 9, 4], [3, 3, 1]]


def test_a_held_out_part_excludes_regrouping(run: Run, clicks: Path) -> None:
    paths = (clicks / "train.parquet", "--test", clicks / "test.parquet")
    message = fails(run, "prepare", "sessions", *paths, "--gap", "30min", "--workspace", clicks)
    assert message.startswith("--by and --gap regroup only the training part")
    assert not (clicks / "sessions").exists()


def test_a_held_out_part_of_other_items_is_refused(run: Run, clicks: Path) -> None:
    pq.write_table(pa.table({"prefix": [["x1"]], "target": ["x2"]}), clicks / "test.parquet")
    arguments = (
        "prepare",
        "sessions",
        clicks / "train.parquet",
        "--test",
        clicks / "test.parquet",
        "--workspace",
        clicks,
    )
    assert fails(run, *arguments) == (
        f"no item of {clicks}/test.parquet (first: 'x1') is in the training part (first: '2'); check that both "
        "files use the same ids, and loosen the filters"
    )
    assert not (clicks / "sessions").exists()
    assert fails(run, *arguments[:4], clicks / "no.parquet", *arguments[5:]).startswith("there is no file or folder")
    assert succeed(run, "verify", "--workspace", clicks).out == ""


def test_test_cases_of_a_held_out_part(run: Run, clicks: Path) -> None:
    succeed(
        run, "prepare", "sessions", clicks / "train.parquet", "--test", clicks / "test.parquet", "--workspace", clicks
    )
    assert succeed(run, "verify", "--workspace", clicks).out == "sessions\ttrain\tok\n"
    test = HeldOut.load(artifacts.read(clicks / "sessions" / "train"))
    assert test is not None
    assert int((test.sessions.lengths - np.maximum(test.given, 1)).sum()) == 4


@pytest.mark.parametrize(("name", "query"), [("diginetica", 60_858), ("nowplaying", 89_824)])
def test_the_splits_of_the_papers_are_evaluated(
    run: Run, data_folder: Path, tmp_path: Path, name: str, query: int
) -> None:
    folder = data_folder / name
    arguments = ("sessions", folder / "train_sessions.parquet", "--test", folder / "test_prefixes.parquet")
    result = succeed(run, "prepare", *arguments, "--workspace", tmp_path)
    assert f"{query:,} test cases\n" in result.err


def test_help_names_every_source(run: Run) -> None:
    from embedrec.readers import READERS

    message = succeed(run, "prepare", "--help").out
    assert all(f"\n  {name} " in message for name in READERS)


def test_ids_of_the_held_out_part_have_the_type_of_training(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One id with a letter in the held-out part makes no other id unknown."""
    monkeypatch.chdir(tmp_path)
    train = "".join(f"{s}\t{i}\t150000000{i}\n" for s in (1, 2, 3, 4) for i in (1, 2, 3))
    test = "9\t1\t1500001000\n9\t2\t1500001001\n9\tX99\t1500001002\n8\t2\t1500001000\n8\t3\t1500001001\n"
    head = "SessionId\tItemId\tTime\n"
    write(tmp_path, {"a.tsv": head + train, "b.tsv": head + test, "c.tsv": head + test.replace("X99", "4")})
    pq.write_table(pa.table({"prefix": [["1", "2"]], "target": ["3"]}), tmp_path / "d.parquet")
    for file, kind, questions in (("b.tsv", "texts", 3), ("c.tsv", "numbers", 3), ("d.parquet", "numbers", 1)):
        succeed(run, "prepare", "sessions", "a.tsv", "--test", file, "--name", "s")
        artifact = artifacts.read(tmp_path / "sessions" / "s")
        sessions, held_out = Sessions.load(artifact), HeldOut.load(artifact)
        assert held_out is not None and artifact.about["questions"] == questions
        assert sessions.vocab.integer == held_out.sessions.vocab.integer == (kind == "numbers")
        assert (sessions.vocab.rows(held_out.sessions.vocab.ids) >= 0).sum() == 3
    succeed(run, "prepare", "sessions", "a.tsv", "--test", "b.tsv", "--name", "s")
    succeed(run, "train", "cooccurrence")
    result = succeed(run, "evaluate", "cooccurrence", "--at", "2", "--save-run", "runs/x", "--json")
    assert json.loads(result.out.splitlines()[0])["recall@2"] > 0


def test_the_type_of_ids_may_be_given(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"t.csv": "session,item\n1,5.0\n1,05\n1,5\n"})
    for kind, expected in (("auto", ["5", "05"]), ("text", ["05", "5", "5.0"]), ("number", [5])):
        succeed(run, "prepare", "table", "t.csv", "--id-type", kind)
        assert Sessions.load(artifacts.read(tmp_path / "sessions" / "t")).vocab.ids.tolist() == expected
    write(tmp_path, {"t.csv": "session,item\n1,5.0\n1,x\n"})
    message = (
        "t.csv, row 2: item must be a whole number of 64 bits, but is 'x'; use --on-bad-row skip to leave such rows out"
    )
    assert fails(run, "prepare", "table", "t.csv", "--id-type", "number") == message


@pytest.mark.spark
def test_on_spark_the_same_is_written_and_printed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spark: object
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"t.csv": "session,item\n1,a\n1,b\n2,a\n3,c\n,x\n"})
    words = ("prepare", "table", "t.csv", "--on-bad-row", "skip", "--min-count", "1")
    local, other = succeed(run, *words), succeed(run, *words, "--engine", "spark", "--name", "s")
    assert other.out == local.out == "1\t2\t2\n"
    assert other.err == local.err.replace("sessions t (sessions/t)", "sessions s (sessions/s)")
    for name in ("items.npy", "offsets.npy", "vocab.parquet", "sessions.parquet"):
        assert (tmp_path / "sessions/s" / name).read_bytes() == (tmp_path / "sessions/t" / name).read_bytes()
    write(tmp_path, {"n.csv": "session,item\n4,a\n4,b\n"})
    assert fails(run, "prepare", "table", "n.csv", "--append", "s") == (
        "sessions s do not hold the events that filters removed, because Spark wrote them, so events cannot be "
        "appended; prepare once again: embedrec prepare table t.csv --name s"
    )


def test_options_that_spark_does_not_take(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for option in (("--append", "s"), ("--memory", "1G")):
        result = run("prepare", "table", "t.csv", "--engine", "spark", *option)
        assert result.code == 2 and f"{option[0]} cannot be combined with --engine spark" in result.err
    result = run("prepare", "table", "t.csv", "--master", "local[2]")
    assert result.code == 2 and "--master needs --engine spark" in result.err
