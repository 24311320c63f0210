"""`embedrec info` and `embedrec verify`: exactly what they print."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedrec.data import Sessions
from embedrec.index.search_settings import SearchSettings
from embedrec.index.serialization import load_index, save_index
from embedrec.splitting.holdout import HeldOut
from embedrec.storage import artifacts
from embedrec.vectors.embeddings import Embeddings
from tests.cli.conftest import Run, succeed
from tests.conftest import of_lists
from tests.ranking.two_kinds import two_kinds

LISTS = ["ab", "aab", "abcdefgh", "aa", "ba", "abababab", "c"]


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sessions:
    """Sessions with times and users, as the artifact letters of the current folder."""
    monkeypatch.chdir(tmp_path)
    sessions = of_lists(LISTS).drop_unused_items()
    times = 1_700_000_000_000 + np.arange(len(sessions.items)) * 60_000
    sessions = replace(sessions, times=times, users=np.arange(len(sessions)) % 4)
    sessions.save(Path("sessions", "letters"), {"sessions": 7, "items": 8, "events": 26})
    return sessions


FACTS = """\
sessions	7
items	8
events	26
users	4
first	2023-11-14T22:13:20Z
last	2023-11-14T22:38:20Z
lengths.min	1
lengths.median	2.0000
lengths.mean	3.7143
lengths.p90	8
lengths.p99	8
lengths.max	8
sparsity	0.6786
repeats	0.3077
top_1	0.4231
top_10	0.4231
gini	0.5192
median_item	1.0000
"""
HISTOGRAM = """\
1	1	█████████████▍
2	3	████████████████████████████████████████
3-4	1	█████████████▍
5-8	2	██████████████████████████▋
"""


def test_statistics_are_tab_separated_in_a_pipe(run: Run, prepared: Sessions) -> None:
    result = succeed(run, "info", "--sessions")
    assert result.err == "using sessions letters (sessions/letters)\n"
    assert result.out == FACTS + HISTOGRAM
    assert succeed(run, "info", "--sessions", "letters").out == FACTS + HISTOGRAM


def test_statistics_of_sessions_as_json(run: Run, prepared: Sessions) -> None:
    (line,) = succeed(run, "info", "--sessions", "--json").out.splitlines()
    message = json.loads(line)
    assert message["name"] == "letters"
    assert (message["sessions"], message["first"], message["held_out"]) == (7, 1_700_000_000_000, None)
    assert message["lengths"]["median"] == 2.0
    assert message["histogram"][2] == {"least": 3, "most": 4, "sessions": 1}


def test_the_held_out_part_is_described(run: Run, prepared: Sessions) -> None:
    held_out = HeldOut(prepared.take(np.array([1, 2])), np.array([1, 4]))
    with artifacts.writing(Path("sessions", "split"), "sessions", {"sessions": 7, "items": 8, "events": 26}) as draft:
        prepared.write(draft)
        held_out.write(draft)
    held_out_lines = "held_out.sessions\t2\nheld_out.items\t8\nheld_out.events\t11\nheld_out.given\t5\n"
    assert succeed(run, "info", "--sessions", "split").out == FACTS + held_out_lines + HISTOGRAM
    message = json.loads(succeed(run, "info", "--sessions", "split", "--json").out)
    assert message["held_out"] == {"sessions": 2, "items": 8, "events": 11, "given": 5}


def test_unknown_sessions_suggest_near_misses(run: Run, prepared: Sessions) -> None:
    result = run("info", "--sessions", "lettres")
    assert (result.code, result.out) == (1, "")
    assert "did you mean 'letters'?" in result.err


def test_verify_recall_fails_below_the_target(run: Run, vectors_700: Embeddings) -> None:
    succeed(run, "build-index", "--type", "ivf", "--target-recall", ".95@10", "--name", "kept")
    succeed(run, "build-index", "--type", "flat")
    rows = succeed(run, "verify", "--recall").rows
    assert [row[:2] for row in rows] == [["models", "v"], ["indexes", "kept"], ["indexes", "v-flat"]]
    verdicts = {row[1]: row[2] for row in rows}
    assert (
        verdicts["v"] == "ok" and verdicts["v-flat"] == "ok, recall@20 1.0000 on 700 fresh items; recall when built 1"
    )
    assert verdicts["kept"].startswith("ok, recall@10 0.9") and verdicts["kept"].endswith("; target 0.95")
    index = load_index(artifacts.read(Path("indexes/kept")))
    save_index(replace(index, settings=SearchSettings(nprobe=1)), Path("indexes/broken"), {"indexed": {"name": "v"}})
    result = run("verify", "--recall")
    assert result.code == 1
    (broken,) = [row[2] for row in result.rows if row[1] == "broken"]
    assert broken.endswith("on 700 fresh items, below the target of 0.95; rebuild the index")
    assert result.err == "embedrec: 1 of 3 indexes have lower recall than their target; rebuild them\n"
    assert succeed(run, "verify").out.count("\tok\n") == 4  # their bytes are as they were written


def test_artifacts_are_tab_separated_in_a_pipe(run: Run, compass: Path) -> None:
    (kind, name, created, model_summary), (_, index_name, _, index_summary) = succeed(
        run, "info", "--workspace", compass
    ).rows
    assert (kind, name, model_summary) == ("model", "compass", "vectors, 6 items")
    assert len(created) == len("2026-01-01T00:00:00")
    assert index_name == "compass-flat"
    assert index_summary.startswith("Flat, 6 items, cosine, recall@20 1.0000, ")


def test_verify_names_damaged_files_and_exits_with_1(run: Run, compass: Path) -> None:
    assert succeed(run, "verify", "--workspace", compass).out == "models\tcompass\tok\nindexes\tcompass-flat\tok\n"
    path = compass / "models" / "compass" / "items.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    result = run("verify", "--workspace", compass)
    damaged = f"{path} is damaged (its checksum differs); write the artifact again"
    assert result.code == 1
    assert result.out == f"models\tcompass\t{damaged}\nindexes\tcompass-flat\tok\n"
    assert result.err == "embedrec: 1 of 2 artifacts are damaged; create them again\n"


def test_damaged_artifacts_are_listed(run: Run, damaged_model: Path) -> None:
    result = succeed(run, "info")
    assert [row[:2] for row in result.rows] == [["sessions", "log"], ["model", "cooccurrence"], ["model", "torn"]]
    assert result.rows[-1][2:] == ["", "unreadable"]
    assert result.err.startswith("cannot read models/torn: models/torn/manifest.json is damaged (")
    assert run("info", "torn").err.startswith("embedrec: models/torn/manifest.json is damaged (")
    result = run("verify")
    assert result.code == 1 and result.err == "embedrec: 1 of 3 artifacts are damaged; create them again\n"
    assert [row[2][:2] for row in result.rows] == ["ok", "ok", "mo"]


def test_unused_parts_are_listed_and_removed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    two_kinds(200).save(Path("sessions", "s"), {})
    succeed(run, "train", "fusion", "--candidates", "ar=20,popular=20", "--set", "window=.3", "--force")
    assert [row[0] for row in succeed(run, "verify").rows] == ["sessions", "models", "parts", "parts"]
    listed = succeed(run, "verify", "--unused-parts")
    total = sum(int(row[1]) for row in listed.rows) / 1e6
    assert [row[0].partition("-")[0] for row in listed.rows] == ["ar", "popular"]
    assert listed.err == f"2 parts that no model uses, {total:,.1f} MB; --remove removes them\n"
    removed = succeed(run, "verify", "--unused-parts", "--remove")
    assert removed.rows == listed.rows and removed.err == f"removed 2 parts, {total:,.1f} MB\n"
    for words in (("verify", "--unused-parts"), ("verify", "--unused-parts", "--remove", "--json")):
        result = succeed(run, *words)
        assert (result.out, result.err) == ("", "every part is used by a model\n")
    assert succeed(run, "verify").out.count("\tok") == 4
    for words, message in (
        (("verify", "--remove"), "--remove needs --unused-parts"),
        (("verify", "fusion", "--unused-parts"), "--unused-parts cannot be combined with NAME"),
        (("verify", "--unused-parts", "--recall"), "--unused-parts cannot be combined with --recall"),
    ):
        result = run(*words)
        assert result.code == 2 and result.err.splitlines()[-1].endswith(message)
