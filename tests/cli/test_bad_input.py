"""Bad input: one sentence on stderr, exit code 1 (2 for usage, 130 for Ctrl-C), and older artifacts are kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Run, fails, succeed


def test_a_missing_file_is_named(run: Run, tmp_path: Path) -> None:
    message = fails(run, "prepare", "mpd", tmp_path / "nowhere.json", "--workspace", tmp_path)
    assert str(tmp_path / "nowhere.json") in message
    assert not (tmp_path / "sessions").exists()


def test_an_empty_file_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.json").touch()
    assert "empty" in fails(run, "prepare", "mpd", tmp_path / "empty.json", "--workspace", tmp_path)


def test_a_folder_without_data_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    assert ".json" in fails(run, "prepare", "mpd", tmp_path / "in", "--workspace", tmp_path)


@pytest.mark.parametrize(
    "text",
    ['{"playlists": [{"pid": 1, "tracks": [', '{"songs": []}', "[1, 2]", '{"playlists": [{"pid": 1, "tracks": [{}]}]}'],
    ids=["cut off", "another shape", "a list", "a row without the field"],
)
def test_damaged_json_keeps_the_old_sessions(run: Run, playlists: Path, tmp_path: Path, text: str) -> None:
    succeed(run, "prepare", "mpd", playlists, "--workspace", tmp_path)
    before = json.loads(succeed(run, "info", "mpd-artist", "--json", "--workspace", tmp_path).out)
    (tmp_path / "bad.json").write_text(text)
    message = fails(run, "prepare", "mpd", tmp_path / "bad.json", "--workspace", tmp_path)
    assert str(tmp_path / "bad.json") in message
    assert json.loads(succeed(run, "info", "mpd-artist", "--json", "--workspace", tmp_path).out) == before
    assert [p.name for p in (tmp_path / "sessions").iterdir()] == ["mpd-artist"]


def test_bad_rows_are_skipped_and_counted(run: Run, tmp_path: Path) -> None:
    first = {"artist_uri": "spotify:artist:a", "artist_name": "A"}
    second = {"artist_uri": "spotify:artist:b", "artist_name": "B"}
    slice_ = {"playlists": [{"pid": 1, "tracks": [first, {"artist_name": "no uri"}, second]}]}
    (tmp_path / "s.json").write_text(json.dumps(slice_))
    assert "--on-bad-row skip" in fails(run, "prepare", "mpd", tmp_path / "s.json", "--workspace", tmp_path)
    result = succeed(run, "prepare", "mpd", tmp_path / "s.json", "--on-bad-row", "skip", "--workspace", tmp_path)
    assert result.out == "1\t2\t2\n"
    assert "1 row left out" in result.err
    about = json.loads(succeed(run, "info", "mpd-artist", "--json", "--workspace", tmp_path).out)
    assert sum(about["bad_rows"].values()) == 1


def test_a_duplicate_playlist_id_is_refused(run: Run, tmp_path: Path) -> None:
    track = {"artist_uri": "spotify:artist:a", "artist_name": "A"}
    slice_ = {"playlists": [{"pid": 7, "tracks": [track, track]}, {"pid": 7, "tracks": [track]}]}
    (tmp_path / "s.json").write_text(json.dumps(slice_))
    assert "7" in fails(run, "prepare", "mpd", tmp_path / "s.json", "--workspace", tmp_path)


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_vectors_with_nan_or_infinity_are_refused(run: Run, tmp_path: Path, number: str) -> None:
    (tmp_path / "v.txt").write_text(f"2 2\na 0 1\nb {number} 0\n")
    message = fails(run, "vectors", "import", tmp_path / "v.txt", "--workspace", tmp_path)
    assert message == "1 of 2 vectors contain NaN or infinity, the first is that of 'b'; remove or repair them"


def test_an_unknown_item_suggests_near_misses(run: Run, compass: Path) -> None:
    message = fails(run, "similar", "nort-east", "-n", 1, "--workspace", compass)
    assert message.startswith("no item 'nort-east' among the 6 of the vocabulary; did you mean north-east")


def test_k_beyond_the_catalogue_returns_all_other_items(run: Run, compass: Path) -> None:
    result = run("similar", "north", "-n", 6, "--workspace", compass)
    assert result.code == 0 and len(result.out.splitlines()) == 5
    assert result.err.splitlines()[-1] == "an item has 5 others in a catalogue of 6, fewer than 6"


def test_an_empty_workspace_names_the_next_command(run: Run, tmp_path: Path) -> None:
    assert "embedrec prepare" in fails(run, "train", "word2vec", "--workspace", tmp_path)
    assert "embedrec train" in fails(run, "build-index", "--workspace", tmp_path)
    assert "embedrec build-index" in fails(run, "similar", "x", "--workspace", tmp_path)
    assert "embedrec build-index" in fails(run, "export", tmp_path / "x.txt", "--workspace", tmp_path)
    assert not (tmp_path / "x.txt").exists()


def test_unknown_names_suggest_near_misses(run: Run, compass: Path, playlists: Path) -> None:
    succeed(run, "prepare", "mpd", playlists, "--workspace", compass)
    workspace = ("--workspace", compass)
    assert fails(run, "train", "word2vek", *workspace) == "no model is called 'word2vek'; did you mean 'word2vec'?"
    message = fails(run, "train", "word2vec", "--set", "windwo=3", *workspace)
    assert message == "unknown setting 'windwo' in --set; did you mean 'window'?"
    message = fails(run, "train", "word2vec", "--set", "epochs=many", *workspace)
    assert message == "setting 'epochs' in --set must be a whole number, but is 'many'"
    assert "'='" in fails(run, "train", "word2vec", "--set", "epochs", *workspace)
    assert "did you mean 'ivf'" in fails(run, "build-index", "--type", "ivff", *workspace)
    assert "Nonsense" in fails(run, "build-index", "--type", "Nonsense", *workspace)
    assert "did you mean 'compass-flat'" in fails(run, "similar", "north", "--index", "compas-flat", *workspace)
    assert "did you mean 'similar'" in fails(run, "simlar", code=2)


def test_a_model_without_vectors_is_not_indexed(run: Run, playlists: Path, tmp_path: Path) -> None:
    succeed(run, "prepare", "mpd", playlists, "--workspace", tmp_path)
    succeed(run, "train", "popular", "--workspace", tmp_path)
    message = fails(run, "build-index", "--workspace", tmp_path)
    assert message == "model popular (popular) has no vectors; train word2vec, or name another model with --model"


def test_a_damaged_index_is_not_searched(run: Run, compass: Path) -> None:
    path = compass / "indexes" / "compass-flat" / "index.faiss"
    path.write_bytes(path.read_bytes()[:-7])
    message = fails(run, "similar", "north", "-n", 1, "--workspace", compass)
    assert message.startswith(f"{path} is damaged (")


def test_a_full_disk_keeps_the_old_file(compass: Path) -> None:
    target = compass / "similar.txt"
    target.write_text("the old one\n")
    script = (
        "import resource, signal, sys\n"
        "sys.dont_write_bytecode = True\n"  # Python would leave cut-off .pyc files behind
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40, 40))\n"
        "from embedrec.cli.main import main; main()"
    )
    command = [sys.executable, "-c", script, "export", str(target), "-n", "3", "--workspace", str(compass)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1] == (
        f"embedrec: the export to {target} stopped (File too large); "
        "continue it with --resume (the lists so far are in .similar.txt.work)"
    )
    assert target.read_text() == "the old one\n"
    assert [result.name for result in compass.glob(".similar*")] == [".similar.txt.work"]


@pytest.fixture
def training(run: Run, playlists: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A long training that runs in another process."""
    succeed(run, "prepare", "mpd", playlists, "--workspace", tmp_path)
    command = [sys.executable, "-m", "embedrec", "train", "word2vec", "--set", "epochs=100000"]
    environment = {**os.environ, "EMBEDREC_WORKSPACE": str(tmp_path)}
    # the process inherits that SIGINT is ignored where the tests run in the background of a shell
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        signal.signal(signal.SIGINT, previous)
        yield process
        process.kill()


def test_ctrl_c_ends_with_130(training: subprocess.Popen[str], tmp_path: Path) -> None:
    assert training.stderr is not None
    assert training.stderr.readline().startswith("using sessions mpd-artist")
    assert training.stderr.readline() == "vocabulary items=60 left_out=0\n"
    assert training.stderr.readline().startswith("epoch ")
    time.sleep(0.2)
    training.send_signal(signal.SIGINT)
    assert training.wait(timeout=30) == 130
    assert training.stderr.read().splitlines()[-1] == "embedrec: interrupted; no partial files remain"
    assert not (tmp_path / "models" / "word2vec").exists()
