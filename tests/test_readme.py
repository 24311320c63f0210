"""The README is true: its tour runs, its other commands parse, its Python prints what it says, its configs train."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import fields
from pathlib import Path

import click
import pytest

from embedrec.cli.main import cli, main
from embedrec.datasets.synthetic import make_world, write_mpd
from embedrec.models import MODELS, recipe_class
from embedrec.workflows.train import recipe_of

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, flags=re.M | re.S)
TOUR = [line[2:] for _, block in BLOCKS for line in block.splitlines() if line.startswith("$ ")]
SHOWN = [  # the commands that the README shows a result of, with all that they print
    (command, output)
    for _, block in BLOCKS
    for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, flags=re.M)
]
OTHERS = [
    line.split("   ")[0].split(" #")[0].split(" > ")[0]
    for _, block in BLOCKS
    for line in block.splitlines()
    if line.startswith("embedrec ")
]


def shell(line: str) -> int:
    sys.argv = shlex.split(line)
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def playlists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with data/mpd/train in it; some of the artists are the README's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [])
    world = make_world(seed=1, genres=4, artists_per_genre=12, playlists=300)
    folder = tmp_path / "data" / "mpd" / "train"
    write_mpd(world, folder)
    for file in folder.iterdir():
        text = file.read_text()
        for artist, name in zip(world.artists, ("Daft Punk", "Justice", "Phoenix"), strict=False):
            text = text.replace(artist.name, name)
        file.write_text(text)
    return tmp_path


def test_the_tour_prints_what_it_says(
    playlists: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal, up to noise: numbers, ids, names of artists, how many epochs there are."""
    assert len(TOUR) >= 7
    monkeypatch.setattr("embedrec.cli.shared.options.on_terminal", lambda: True)
    for line, expected in SHOWN:
        assert shell(line) == 0, capsys.readouterr().err
        printed = capsys.readouterr()
        _same_lines(line, expected.splitlines(), [*printed.err.splitlines(), *printed.out.splitlines()])
    assert (playlists / "similar.txt").is_file()


def _same_lines(command: str, expected: list[str], printed: list[str]) -> None:
    """Raises AssertionError unless the lines are the same up to noise; "…" stands for any number of lines."""
    wanted, found = ([without_noise(line) for line in lines] for lines in (expected, printed))
    if "…" not in wanted:
        assert found == wanted, command
        return
    at = wanted.index("…")
    behind = wanted[at + 1 :]
    assert len(found) >= len(wanted) - 1, command
    assert found[:at] == wanted[:at], command
    assert found[len(found) - len(behind) :] == behind, command


def without_noise(line: str) -> str:
    """A line without what differs from run to run and from data to data; columns with one space between."""
    line = re.sub(r"spotify:artist:\w+", "ID", line)
    line = re.sub(r"-?\b[0-9]+(?:[.,:T-][0-9]+)*", "N", re.sub("IVF[0-9]+", "IVFN", line))
    return re.sub("(ID .*N) .*$", r"\1 NAME", re.sub(" +", " ", line)).strip()


def test_noise_is_numbers_ids_and_names() -> None:
    assert without_noise("  1  spotify:artist:a1  -0.5000  M83 & co") == "N ID N NAME"
    assert without_noise("index  w-ivf  2026-11-22T03:21:46  IVF412,Flat, 16,106 items, recall@20 0.9936, 0.27 ms") == (
        "index w-ivf N IVFN,Flat, N items, recall@N N, N ms"
    )
    assert without_noise("using model word2vec (models/word2vec)") == "using model word2vec (models/word2vec)"
    with pytest.raises(AssertionError):
        _same_lines("", ["a 1", "…", "b 2"], ["a 5", "c"])
    with pytest.raises(AssertionError):
        _same_lines("", ["a 1"], ["a 5", "a 6"])
    _same_lines("", ["a 1", "…", "b 2"], ["a 5", "x", "y", "b 7"])


@pytest.mark.slow
def test_the_tour_recommends_what_it_says(
    data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the playlists of the README: most of the artists, the best first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [])
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mpd").symlink_to(data_folder / "mpd")
    found: list[list[str]] = []
    for command, _ in SHOWN[:5]:
        assert shell(command) == 0, capsys.readouterr().err
        found = [row.split("\t") for row in capsys.readouterr().out.splitlines()]
    line, expected = SHOWN[4]
    wanted = [re.split("  +", row.strip()) for row in expected.splitlines()[2:]]
    assert line.startswith("embedrec recommend") and len(found) == len(wanted) == 5
    assert len({row[1] for row in found} & {row[1] for row in wanted}) >= 3
    scores = [float(row[2]) for row in found]  # their size varies with the popularity that the training chooses
    assert scores == sorted(scores, reverse=True) and scores[-1] > 0


@pytest.mark.parametrize("line", OTHERS)
def test_the_other_commands_parse(line: str) -> None:
    _, *words = shlex.split(line)
    command: click.Command = cli
    context = click.Context(cli, info_name="embedrec")
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command, context = found, click.Context(found, info_name=name, parent=context)
    command.make_context(line, words)


def test_the_python_prints_what_it_should(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = [block for language, block in BLOCKS if language == "python"]
    exec(compile(code, "README.md", "exec"), {})
    neighbours, recommended = capsys.readouterr().out.splitlines()
    assert set(eval(neighbours)[0]) == {"butter", "jam"}
    assert set(eval(recommended)[0]) == {"butter", "jam"}


def test_every_file_it_links_to_exists() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize("config", sorted((ROOT / "configs").glob("*.toml")), ids=lambda p: p.name)
def test_every_config_trains(config: Path, playlists: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import tomllib

    assert shell("embedrec prepare mpd data/mpd/train") == 0
    (model,) = tomllib.loads(config.read_text())["train"]
    briefly = "--set epochs=1" if any(f.name == "epochs" for f in fields(recipe_class(model))) else ""
    assert shell(f"embedrec train {model} --config {config} {briefly}") == 0, capsys.readouterr().err


@pytest.mark.parametrize("model", list(MODELS))
def test_the_written_out_defaults_are_the_defaults(model: str) -> None:
    recipe = recipe_class(model)
    assert recipe_of(recipe, ROOT / "configs" / f"{model}.toml", []) == recipe()
