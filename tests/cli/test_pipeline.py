"""The pipeline on playlists, command by command, each without further options."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from embedrec.datasets.synthetic import World
from tests.cli.conftest import Run, succeed


@pytest.fixture
def pipeline(run: Run, playlists: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace, and the current folder, with sessions, a model and an IVF index of a generated world."""
    monkeypatch.chdir(tmp_path)
    succeed(run, "prepare", "mpd", playlists, "--level", "artist")
    succeed(run, "train", "word2vec")
    succeed(run, "build-index", "--type", "ivf")
    return tmp_path


def test_prepare_notes_what_filters_removed(run: Run, playlists: Path, world: World, tmp_path: Path) -> None:
    result = succeed(run, "prepare", "mpd", playlists, "--level", "artist", "--top", 10, "--workspace", tmp_path)
    sessions, items, events = map(int, result.rows[0])
    assert items == 10
    assert sessions <= len(world.playlists)
    with_top = {artist.uri for artist in world.artists}
    assert len(with_top) == 60
    lines = result.err.splitlines()
    assert lines[0].startswith("--top 10 removed ")
    assert " 50 items, " in lines[0]
    assert lines[-1] == f"wrote sessions mpd-artist ({tmp_path}/sessions/mpd-artist)"
    query = succeed(run, "info", "mpd-artist", "--json", "--workspace", tmp_path)
    about = json.loads(query.out)
    assert (about["sessions"], about["items"], about["events"]) == (sessions, items, events)
    assert about["removed"][0]["filter"] == "top"


def test_similar_items_are_of_the_same_genre(run: Run, pipeline: Path, world: World) -> None:
    artists = [world.artists[0], world.artists[12], world.artists[24]]
    result = succeed(run, "similar", *(a.uri for a in artists), "-n", 5)
    assert result.err == "using index word2vec-ivf (indexes/word2vec-ivf)\n"
    assert [row[0] for row in result.rows] == [a.uri for a in artists for _ in range(5)]
    assert [row[1] for row in result.rows] == list("12345") * 3
    right = [row[2] in world.neighbours(row[0]) for row in result.rows]
    assert np.mean(right) > 0.9
    names = {a.uri: a.name for a in world.artists}
    assert all(row[4] == names[row[2]] for row in result.rows)
    scores = np.array([float(row[3]) for row in result.rows]).reshape(3, 5)
    assert (np.diff(scores) <= 0).all()


@pytest.mark.parametrize("form", ["uri", "bare id", "name", "other capitals"])
def test_an_item_is_found_by_id_and_by_name(run: Run, pipeline: Path, world: World, form: str) -> None:
    artist = world.artists[0]
    message = {
        "uri": artist.uri,
        "bare id": artist.uri.rsplit(":", 1)[-1],
        "name": artist.name,
        "other capitals": artist.name.upper(),
    }[form]
    assert {row[0] for row in succeed(run, "similar", message).rows} == {artist.uri}


def test_short_ids_are_found_by_their_complete_uri(run: Run, playlists: Path, world: World, tmp_path: Path) -> None:
    workspace = ("--workspace", tmp_path)
    succeed(run, "prepare", "mpd", playlists, "--uris", "cut", *workspace)
    succeed(run, "train", "word2vec", "--set", "epochs=2", *workspace)
    succeed(run, "build-index", "--type", "flat", *workspace)
    uri = world.artists[0].uri
    assert {row[0] for row in succeed(run, "similar", uri, *workspace).rows} == {uri.rsplit(":", 1)[-1]}


def test_export_writes_every_item(run: Run, pipeline: Path, world: World) -> None:
    result = succeed(run, "export", "similar.txt", "-n", 20)
    lines = (pipeline / "similar.txt").read_text().splitlines()
    assert result.out == ""
    assert result.err.splitlines()[-1] == f"wrote {len(lines)} lines to similar.txt"
    assert len(lines) == 60
    for line in lines:
        seed, *neighbours = line.split(" ")
        assert len(neighbours) == 20
        assert seed not in neighbours
    seed, *neighbours = lines[0].split(" ")
    assert neighbours == [row[2] for row in succeed(run, "similar", seed, "-n", 20).rows]
    assert succeed(run, "export", "-", "-n", 20).out.splitlines() == lines


def test_info_and_verify_list_all_artifacts(run: Run, pipeline: Path) -> None:
    rows = succeed(run, "info").rows
    assert [(kind, name) for kind, name, _, _ in rows] == [
        ("sessions", "mpd-artist"),
        ("model", "word2vec"),
        ("index", "word2vec-ivf"),
    ]
    assert "recall@20 " in rows[2][3]
    assert [row[2] for row in succeed(run, "verify").rows] == ["ok"] * 3


def test_a_warm_start_replaces_and_continues_the_model(run: Run, pipeline: Path) -> None:
    first = json.loads(succeed(run, "info", "word2vec", "--json").out)
    succeed(run, "train", "word2vec", "--from", "word2vec", "--set", "epochs=1")
    second = json.loads(succeed(run, "info", "word2vec", "--json").out)
    assert second["fingerprint"] != first["fingerprint"]
    assert second["continued_from"]["fingerprint"] == first["fingerprint"]
    assert second["trained_on"] == first["trained_on"]
    assert second["settings"]["epochs"] == 1
    assert len(second["epochs"]) == 1


def test_gensim_trains_with_the_same_settings(run: Run, pipeline: Path) -> None:
    succeed(run, "train", "word2vec", "--set", "backend=gensim", "--set", "epochs=2", "--name", "theirs")
    about = json.loads(succeed(run, "info", "theirs", "--json").out)
    assert about["settings"]["backend"] == "gensim"
    assert [set(e) for e in about["epochs"]] == [{"epoch", "epochs", "seconds", "events_per_second"}] * 2
    assert ["model", "theirs"] in [row[:2] for row in succeed(run, "info").rows]


def test_same_seed_and_one_thread_give_the_same_bytes(run: Run, pipeline: Path) -> None:
    prints = []
    for name in ("one", "two"):
        succeed(run, "train", "word2vec", "--threads", 1, "--seed", 7, "--set", "epochs=2", "--name", name)
        prints.append(json.loads(succeed(run, "info", name, "--json").out)["fingerprint"])
    assert prints[0] == prints[1]


def test_set_overrides_the_settings_file(run: Run, pipeline: Path) -> None:
    (pipeline / "w.toml").write_text("[train.word2vec]\nepochs = 3\ndim = 24\n")
    succeed(run, "train", "word2vec", "--config", "w.toml", "--set", "epochs=2", "--name", "w")
    settings = json.loads(succeed(run, "info", "w", "--json").out)["settings"]
    assert (settings["epochs"], settings["dim"]) == (2, 24)
    printed = succeed(run, "train", "word2vec", "--config", "w.toml", "--print-config").out
    (pipeline / "all.toml").write_text(printed)
    assert succeed(run, "train", "word2vec", "--config", "all.toml", "--print-config").out == printed
