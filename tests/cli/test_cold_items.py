"""Items and users with features but without events: prepared, trained, indexed, found by name and exported."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.cli.conftest import Run, succeed

GROUPS, WARM, COLD = 4, 8, 200


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sessions within a genre, and a table of the tracks with 200 tracks more, each with its genre only."""
    monkeypatch.chdir(tmp_path)
    draw = random.Random(1)
    events = ["session,item,user"]
    for session in range(240):
        genre = session % GROUPS
        events += [f"s{session},t{genre}_{draw.randrange(WARM)},u{session % 20}" for _ in range(5)]
    Path("events.csv").write_text("\n".join(events) + "\n")
    tracks = ["item,name,genre"]
    tracks += [f"t{genre}_{n},Old {genre} {n},g{genre}" for genre in range(GROUPS) for n in range(WARM)]
    tracks += [f"new{n},New {n},g{n % GROUPS}" for n in range(COLD)]
    Path("tracks.csv").write_text("\n".join(tracks) + "\n")
    Path("users.csv").write_text("user,age\nu1,30\nnewcomer,40\n")
    return tmp_path


@pytest.mark.parametrize(
    "model",
    [
        ("two-tower", "--set", "dim=16", "--set", "epochs=4"),
        ("gru4rec", "--set", "input=content", "--set", "layers=16", "--set", "epochs=4", "--set", "batch=16"),
        ("gru4rec", "--set", "input=content-mlp", "--set", "layers=16", "--set", "epochs=4", "--set", "batch=16"),
    ],
)
def test_new_tracks_are_found_by_name(run: Run, shop: Path, model: tuple[str, ...]) -> None:
    features = ("--item-features", "tracks.csv", "--user-features", "users.csv")
    succeed(run, "prepare", "table", "events.csv", "--user", "user", *features, "--name", "s")
    model_record = json.loads(succeed(run, "train", *model, "--threads", 1, "--name", "m", "--json").out)
    assert model_record["items"] == GROUPS * WARM + COLD
    succeed(run, "build-index", "--type", "flat", "--model", "m", "--threads", 1)
    names = [f"New {n}" for n in range(COLD)]
    rows = succeed(run, "similar", *names, "-n", 5, "--where", "genre=g0|g1|g2|g3").rows
    assert len(rows) == 5 * COLD
    assert {row[0] for row in rows} == {f"new{n}" for n in range(COLD)}
    similar = succeed(run, "similar", "Old 0 0", "-n", COLD).rows
    assert any(row[2].startswith("new") and row[4].startswith("New ") for row in similar)
    succeed(run, "export", "lists.jsonl", "-n", 3, "--threads", 1)
    items = [json.loads(line)["item"] for line in Path("lists.jsonl").read_text().splitlines()]
    assert {f"new{n}" for n in range(COLD)} <= set(items)


def test_new_tracks_are_near_their_genre(run: Run, shop: Path) -> None:
    succeed(run, "prepare", "table", "events.csv", "--item-features", "tracks.csv", "--name", "s")
    succeed(run, "train", "two-tower", "--set", "dim=16", "--set", "epochs=10", "--threads", 1, "--name", "m")
    rows = succeed(run, "similar", *(f"new{n}" for n in range(GROUPS)), "-n", 60, "--model", "m").rows
    warm = [(row[0], row[2]) for row in rows if row[2].startswith("t")]
    same = [int(new.removeprefix("new")) % GROUPS == int(old[1]) for new, old in warm]
    assert sum(same) >= 0.9 * GROUPS * WARM  # nearly every old track of a genre is near its new ones


def test_users_with_features_only_are_prepared(run: Run, shop: Path) -> None:
    features = ("--item-features", "tracks.csv", "--user-features", "users.csv")
    succeed(run, "prepare", "table", "events.csv", "--user", "user", *features, "--name", "s")
    from embedrec.data import Sessions
    from embedrec.storage.workspace import Workspace

    users = Sessions.load(Workspace(shop).find("sessions")).user_features
    assert users is not None and users.vocab.ids.tolist() == ["u1", "newcomer"]


def test_types_of_features_may_be_given(run: Run, shop: Path) -> None:
    Path("codes.csv").write_text("item,shelf\nt0_0,7\nt0_1,8\n")
    prepare = ("prepare", "table", "events.csv", "--item-features", "codes.csv", "--name", "s")
    succeed(run, *prepare, "--feature-type", "shelf=text")
    succeed(run, "train", "cooccurrence")
    assert "shelf contains text" in run("similar", "t0_0", "--model", "cooccurrence", "--where", "shelf>7").err
    wrong = run(*prepare, "--feature-type", "shelf=colour")
    assert wrong.code == 2
    assert "'shelf=colour' is not NAME=TYPE, where TYPE is one of number, text, list, date" in wrong.err
    wrong = run(*prepare, "--feature-type", "shelve=text")
    assert wrong.code == 1
    assert wrong.err.endswith("embedrec: no feature is called 'shelve'; did you mean 'shelf'?\n")
