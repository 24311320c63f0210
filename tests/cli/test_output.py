"""Exactly what commands print."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import click
import pytest

from embedrec.cli.main import COMMANDS, cli
from tests.cli.conftest import Run, walked


def test_similar_in_a_pipe(run: Run, compass: Path) -> None:
    ran = walked(run, "similar", "north", "south", "-n", 2, "--workspace", compass)
    assert ran.out == (
        "north\t1\tnorth-east\t0.8000\t\n"
        "north\t2\teast\t0.0000\t\n"
        "south\t1\tsouth-east\t0.6000\t\n"
        "south\t2\teast\t0.0000\t\n"
    )
    assert ran.err == f"using index compass-flat ({compass}/indexes/compass-flat)\n"


def test_similar_as_json(run: Run, compass: Path) -> None:
    ran = walked(run, "similar", "east", "-n", 1, "--json", "--workspace", compass)
    assert ran.out == '{"item": "east", "rank": 1, "similar": "south-east", "score": 0.8, "name": ""}\n'


def test_similar_of_integer_ids_as_json(run: Run, tmp_path: Path) -> None:
    import numpy as np

    from embedrec import Embeddings, Vocab
    from embedrec.vectors.file_formats import save_vectors

    vectors = np.array([[0, 1], [0.6, 0.8], [1, 0]], dtype=np.float32)
    save_vectors(Embeddings(vectors, Vocab(np.array([7, 8, 9]))), tmp_path / "v.parquet")
    walked(run, "vectors", "import", tmp_path / "v.parquet", "--workspace", tmp_path)
    walked(run, "build-index", "--type", "flat", "--workspace", tmp_path)
    ran = walked(run, "similar", 7, "--json", "--workspace", tmp_path)
    assert ran.out.splitlines()[0] == '{"item": 7, "rank": 1, "similar": 8, "score": 0.8, "name": ""}'
    assert len(ran.rows) == 2


def test_similar_on_a_terminal(compass: Path) -> None:
    command = [sys.executable, "-m", "embedrec", "similar", "north", "-n", "1", "--workspace", str(compass)]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "COLUMNS": "80"}
    subprocess.run(command, stdout=theirs, stderr=subprocess.DEVNULL, check=True, env=environment)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode().splitlines()
    os.close(ours)
    assert [line.split() for line in shown] == [
        ["item", "rank", "similar", "score", "name"],
        ["north", "1", "north-east", "0.8000"],
    ]


def test_export_bytes(run: Run, compass: Path) -> None:
    walked(run, "export", compass / "out.txt", "-n", 2, "--workspace", compass)
    assert (compass / "out.txt").read_bytes() == (
        b"north north-east east\n"
        b"north-east north east\n"
        b"east south-east north-east\n"
        b"south-east east south\n"
        b"south south-east east\n"
        b"west north south\n"
    )


def test_info(run: Run, compass: Path) -> None:
    (kind, name, created, holds), (_, index_name, _, index_holds) = walked(run, "info", "--workspace", compass).rows
    assert (kind, name, holds) == ("model", "compass", "vectors, 6 items")
    assert len(created) == len("2026-01-01T00:00:00")
    assert index_name == "compass-flat"
    assert index_holds.startswith("Flat, 6 items, cosine, recall@20 1.0000, ")


def test_verify_names_the_damaged_and_exits_with_1(run: Run, compass: Path) -> None:
    assert walked(run, "verify", "--workspace", compass).out == "models\tcompass\tok\nindexes\tcompass-flat\tok\n"
    path = compass / "models" / "compass" / "items.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    ran = run("verify", "--workspace", compass)
    damaged = f"{path} is damaged (its checksum differs); write the artifact again"
    assert ran.code == 1
    assert ran.out == f"models\tcompass\t{damaged}\nindexes\tcompass-flat\tok\n"
    assert ran.err == "embedrec: 1 of 2 artifacts are damaged; create them again\n"


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found.append((*path, name))
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
    return found


@pytest.mark.parametrize("path", commands(cli), ids=" ".join)
def test_every_command_and_option_has_help(run: Run, path: tuple[str, ...]) -> None:
    command: click.Command = cli
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{' '.join(path)} {option.name}"
    ran = walked(run, *path, "--help")
    assert ran.out.startswith(f"Usage: embedrec {' '.join(path)} ")


def test_the_top_help_names_every_command(run: Run) -> None:
    out = walked(run, "--help").out
    assert all(f"\n  {name} " in out for name in COMMANDS)


def test_version(run: Run) -> None:
    assert walked(run, "--version").out == "embedrec, version 0.1.0\n"


def test_a_closed_pipe_is_no_error(compass: Path) -> None:
    command = [sys.executable, "-m", "embedrec", "export", "-", "--workspace", str(compass)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()  # as `head` does when it has seen enough
        _, said = process.communicate()
    assert process.returncode == 0
    assert said == f"using index compass-flat ({compass}/indexes/compass-flat)\n"


def test_a_reader_of_notes_who_goes_away_fails_the_command(compass: Path) -> None:
    command = [sys.executable, "-m", "embedrec", "export", str(compass / "n.txt"), "--workspace", str(compass)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.close()
        assert process.wait() == 1
    assert not (compass / "n.txt").exists()


def test_the_demo_on_a_terminal_keeps_bar_and_lines_apart(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "embedrec", "demo", "--toy", "--into", str(tmp_path / "demo")]
    shown = b""
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env={**os.environ, "COLUMNS": "80"}) as process:
        os.close(theirs)
        try:
            while piece := os.read(ours, 10_000):
                shown += piece
        except OSError:  # the terminal is gone with the process
            pass
    os.close(ours)
    assert process.returncode == 0
    lines = shown.decode().replace("\r", "\n").split("\n")
    told = [line for line in lines if "exported " in line or "trained " in line or "similar to" in line]
    assert len(told) == 5
    assert not [line for line in told if "━" in line]


HEAVY_FOR_SIMILAR = {"torch", "gensim", "numba", "pandas", "scipy", "rich"}


def test_similar_imports_no_compiler_and_no_pandas(compass: Path) -> None:
    script = (
        "import sys; from embedrec.cli.main import cli\n"
        f"cli.main(['similar', 'north', '-n', '1', '--workspace', {str(compass)!r}], standalone_mode=False)\n"
        "print(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()} & HEAVY_FOR_SIMILAR
