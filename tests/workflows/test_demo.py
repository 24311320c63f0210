"""The demo: its columns, and the lists of the generated world, whose right answers are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedrec.storage.workspace import Workspace
from embedrec.workflows.demo import run_demo, side_by_side, toy_playlists


def test_long_names_are_wrapped_and_never_cut() -> None:
    long = "Snow White and the Seven Dwarfs (1937)"
    lines = list(side_by_side(("mf", "word2vec"), [[long, "Heat"], ["Emma"]]))
    assert lines == [
        "  mf                        word2vec",
        "  Snow White and the Seven  Emma",
        "    Dwarfs (1937)",
        "  Heat",
    ]
    word = "x" * 60  # a name without spaces
    assert "".join("".join(side_by_side(("mf",), [[word]])).split()).removeprefix("mf") == word


@pytest.mark.parametrize("seed", [0, 1])
def test_lists_of_the_generated_world_stay_in_the_genre(tmp_path: Path, seed: int) -> None:
    source = toy_playlists(tmp_path / "toy", seed=seed)
    genre = source.group(source.known[0])
    assert genre is not None and {source.group(name) for name in source.history} == {genre}
    lines = list(run_demo(source, Workspace(tmp_path), seed=seed))
    titles = [line for line in lines if line.startswith(("similar to ", "next after "))]
    assert len(titles) == 4
    start, end = lines.index(titles[0]), next(n for n, line in enumerate(lines) if line.startswith("next artist:"))
    shown = [line for line in lines[start:end] if line not in titles]
    assert len(shown) >= 4 * 7 and sum("[" in line for line in shown) <= 3  # brackets: an artist of another genre
