"""Control characters in data are escaped on a terminal; results in a pipe are exact."""

from __future__ import annotations

import io
import json
import os
import pty
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec import Embeddings, Vocab
from embedrec.cli.shared.terminal import VisibleBytes, json_line, one_line, shorten, visible_json
from embedrec.text import visible
from embedrec.vectors.file_formats import save_vectors
from tests.cli.conftest import Run, succeed

TITLE = "\x1b]0;owned\x07\x1b[2Jx"  # renames the window, and wipes it
ESCAPE_SEQUENCES = [
    TITLE,
    "\x9b31mc1",
    "\u202eevil",
    "\u2066a\u2069",
    "\u200fr",
    "a\u2028b",
    "\x7fdel",
    "\ufeffbom",
    "\x85nel",
]


def is_harmful(character: str) -> bool:
    """Slow reference of the pattern: controls, separators of lines, and marks of direction."""
    sets_direction = unicodedata.bidirectional(character) in {
        "LRE",
        "RLE",
        "LRO",
        "RLO",
        "PDF",
        "LRI",
        "RLI",
        "FSI",
        "PDI",
    }
    is_mark = character in "\u200e\u200f\u061c"
    return unicodedata.category(character) in {"Cc", "Zl", "Zp", "Cs"} or sets_direction or is_mark


def test_every_control_character_is_escaped() -> None:
    for code in range(0x110000):
        character = chr(code)
        if is_harmful(character) and character not in "\t\n":
            assert visible(character) != character, hex(code)
    assert visible("Bjo\u0308rk 日本 👩‍👩‍👧 نمی‌خواهم a\tb\nc") == "Bjo\u0308rk 日本 👩‍👩‍👧 نمی‌خواهم a\tb\nc"
    assert visible(TITLE) == "\\x1b]0;owned\\x07\\x1b[2Jx"
    assert visible("\x9b\u202e\udcff") == "\\x9b\\u202e\\udcff"
    assert one_line("a\nembedrec: b\r") == "a\\nembedrec: b\\r"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_bytes_and_text_are_escaped_equally(text: str) -> None:
    out = io.BytesIO()
    assert VisibleBytes(out).write(memoryview(text.encode())) == len(text.encode())
    assert out.getvalue().decode() == visible(text)


@given(st.text())
def test_escaped_json_has_the_same_value(text: str) -> None:
    line = json_line({"id": text})
    assert visible(line) == line and "\n" not in line
    assert json.loads(line) == {"id": text}
    assert json.loads(visible_json(json.dumps(text))) == text


def test_long_texts_are_shortened_in_messages() -> None:
    assert shorten("no item 'a b' among the 6; did you mean 'c'?") == "no item 'a b' among the 6; did you mean 'c'?"
    message = shorten(f"no item {'word ' * 2000!r} among the 6; give an id")
    assert message.startswith("no item 'word word") and message.endswith(
        "… (10,000 characters)' among the 6; give an id"
    )
    assert len(message) < 200
    message = shorten(f"no item {'q' * 5000} here, nor {'it' + chr(39) * 10_000!r}; end")
    assert len(message) < 400 and message.endswith("; end")
    words = " ".join(f"w{n}" for n in range(10_000))
    assert len(shorten(words)) < 9000
    path = "/" + "x" * 250
    assert shorten(f"no file {path}; check the path") == f"no file {path}; check the path"


def test_long_ids_are_shortened_in_messages_only(run: Run, tmp_path: Path) -> None:
    long = "i" * 10_000
    (tmp_path / "v.txt").write_text(f"3 2\n{long} 0 1\nb 1 1\nc 1 0\n")
    workspace = ("--workspace", tmp_path)
    succeed(run, "vectors", "import", tmp_path / "v.txt", *workspace)
    assert long in succeed(run, "similar", "b", "--model", "v", *workspace).out
    for query in (long + "x", "word " * 2000):
        result = run("similar", query, "--model", "v", *workspace)
        assert result.code == 1 and len(result.err) < 600


def on_terminal(*args: object) -> bytes:
    """Everything that a command shows on a terminal: stdout and stderr."""
    child, ours = pty.fork()
    if not child:
        command = [sys.executable, "-m", "embedrec", *map(str, args)]
        os.execve(sys.executable, command, {**os.environ, "TERM": "dumb"})  # where a bar needs no sequences
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # the process closed the terminal
        pass
    os.close(ours)
    os.waitpid(child, 0)
    return shown


@pytest.fixture(scope="module")
def escape_sequence_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose items, and a file, have escape sequences as names."""
    folder = tmp_path_factory.mktemp("odd")
    ids = ["n1", *ESCAPE_SEQUENCES]
    vectors = np.array([[1, number / 10] for number in range(len(ids))], dtype=np.float32)
    save_vectors(Embeddings(vectors, Vocab(ids, ids)), folder / "v.parquet")
    (folder / f"c{TITLE}.csv").write_text(f"session,{TITLE}\ns,i\n")
    return folder


def harmful(shown: bytes) -> list[str]:
    return sorted({hex(ord(c)) for c in shown.decode(errors="replace").replace("\r\n", "\n") if visible(c) != c})


def test_no_command_prints_escape_sequences_on_a_terminal(escape_sequence_folder: Path, run: Run) -> None:
    workspace = ("--workspace", escape_sequence_folder)
    succeed(run, "vectors", "import", escape_sequence_folder / "v.parquet", *workspace)
    for command in (
        ("similar", "n1", "--model", "v", *workspace),
        ("similar", "n1", "--model", "v", "--json", *workspace),
        ("export", "-", "--model", "v", "--format", "tsv", *workspace),
        ("similar", TITLE + "?", "--model", "v", *workspace),
        ("prepare", "table", next(escape_sequence_folder.glob("c*.csv")), *workspace),
        ("info", TITLE, *workspace),
        ("similar", "--" + TITLE, *workspace),
        (TITLE,),
    ):
        shown = on_terminal(*command)
        assert harmful(shown) == [], command
        assert b"\\x1b" in shown or b"\\u001b" in shown, command


def test_results_in_a_pipe_are_exact(escape_sequence_folder: Path, run: Run) -> None:
    workspace = ("--workspace", escape_sequence_folder)
    succeed(run, "vectors", "import", escape_sequence_folder / "v.parquet", *workspace)
    lines = succeed(run, "similar", "n1", "--model", "v", *workspace).out.removesuffix("\n").split("\n")
    assert {line.split("\t")[2] for line in lines} == set(ESCAPE_SEQUENCES)
