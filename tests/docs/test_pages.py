"""Every command and every Python block of README and docs/ runs, and prints what the page shows."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from unittest import mock

import click
import pytest

from embedrec.cli.main import cli
from embedrec.export.policies.settings import POLICIES
from embedrec.index.index_types import INDEXES
from embedrec.models import MODELS
from embedrec.publish import TARGETS
from embedrec.readers import READERS
from tests.docs.markdown import LANGUAGES, PAGES, ROOT, Block, blocks, commands, is_plain
from tests.docs.shell import check_lines, succeed, without_noise
from tests.docs.workspaces import copy_workspace, prepare_workspace, write_files

NAMED = {str(path.relative_to(ROOT)): path for path in PAGES}

TORCH = {"mf", "gru4rec", "two-tower", "neural-cf"}  # models whose epochs take seconds

# Reasons for which blocks are not run: page → reasons, in order. A new one needs a good reason.
NOT_RUN: dict[str, list[str]] = {
    "README.md": ["installs packages; scripts/wheel does so in a clean environment", "needs Redis"],
    "docs/how-to/experiments.md": ["needs MovieLens 100K"],
    "docs/how-to/hugging-face.md": ["it uploads to a service"],
    "docs/how-to/install.md": ["installs packages; CI runs both"],
    "docs/how-to/own-table.md": ["needs a bucket", "needs the data sets"],
    "docs/how-to/publish.md": ["needs Redis, PostgreSQL and Qdrant", "needs Redis and PostgreSQL"],
    "docs/how-to/spark.md": [
        "installs packages",
        "needs Spark; tests/spark compares all of it with one machine",
        *["needs a cluster"] * 2,
        *["needs Spark; tests/spark compares all of it with one machine"] * 3,
        "needs Spark; tests/workflows compares all of it with one machine",
        "needs Spark; tests/spark compares all of it with one machine",
        "needs Spark; tests/spark/test_preparation.py runs it",
    ],
    "docs/how-to/spaces.md": ["the id differs from training to training"],
    "docs/how-to/serve.md": [
        "the service runs until it is stopped; tests/docs/test_serve.py sends the requests",
        *["tests/docs/test_serve.py sends the requests"] * 4,
        "tests/docs/test_serve.py runs it",
    ],
    "docs/how-to/train-with-torch.md": [
        "needs an interrupted training; needs a GPU",
        "tests/training/test_shares.py trains in two processes",
    ],
}


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data files only."""
    folder = tmp_path_factory.mktemp("files")
    write_files(folder)
    return folder


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data files, sessions, a model and an index."""
    folder = tmp_path_factory.mktemp("prepared")
    prepare_workspace(folder)
    return folder


@pytest.fixture
def registries() -> Iterator[None]:
    """Registries that a page adds an entry to are as before after the test."""
    with contextlib.ExitStack() as stack:
        for registry in (MODELS, READERS, INDEXES, POLICIES, TARGETS):
            stack.enter_context(mock.patch.dict(registry))
        yield


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("name", NAMED)
def test_the_blocks_run(
    name: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = NAMED[name].read_text()
    result = [block for block in blocks(text) if not block.not_run]
    runnable = [block for block in result if block.language in ("console", "sh", "python", "toml")]
    if runnable:
        prepared = "<!-- workspace: prepared -->" in text
        copy_workspace(request.getfixturevalue("prepared" if prepared else "files"), tmp_path)
    page = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", page)  # dataclasses look names up in it
    for block in runnable:
        try:
            run_block(block, tmp_path, page)
        except Exception as e:
            raise AssertionError(f"{name}, line {block.line}: {e}") from e


def run_block(block: Block, folder: Path, page: ModuleType) -> None:
    """Run a block in `folder`; the Python blocks of a page are one module.

    A TOML block whose first line is a comment with a file's name becomes that file.
    """
    if block.language == "toml":
        name = re.match(r"# (\S+\.toml)\n", block.text)
        if name is not None:
            (folder / name[1]).write_text(block.text)
        return
    if block.language == "python":
        printed = io.StringIO()
        with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
            exec(compile(block.text, "page", "exec", dont_inherit=True), vars(page))
        if block.prints is not None:
            check_numbers(block.prints, printed.getvalue())
        return
    for command, shown in commands(block):
        lines = succeed(command if shown else briefly(command), folder)
        if shown is not None:
            check_lines(command, shown, lines)


def briefly(command: str) -> str:
    """A command whose training ends after an epoch, and whose search for settings ends after two trials."""
    words = command.split(" #", maxsplit=1)[0].split()
    if words[:2] == ["embedrec", "tune"]:
        command = f"{' '.join(words)} --trials 2"
    if words[:2] in (["embedrec", "train"], ["embedrec", "tune"]) and words[2] in TORCH and "epochs" not in command:
        command = f"{' '.join(words)} --set epochs=1"
    return command


NUMBER = re.compile(r"-?\d*\.\d+|\d+")


def check_numbers(expected: str, printed: str) -> None:
    """Raises AssertionError unless the texts are equal up to spaces, and their fractions up to a twentieth."""
    expected_values, result = (" ".join(NUMBER.sub("#", text).split()) for text in (expected, printed))
    assert result == expected_values
    for a, b in zip(NUMBER.findall(expected), NUMBER.findall(printed), strict=True):
        assert a == b or ("." in a and float(b) == pytest.approx(float(a), rel=0.05, abs=0.01)), printed


@pytest.mark.parametrize("name", NAMED)
def test_every_block_has_a_known_language_and_valid_content(name: str) -> None:
    for block in blocks(NAMED[name].read_text()):
        where = (name, block.line)
        assert block.language in LANGUAGES, where
        if block.language == "text":
            assert not re.search(r"(?m)^(\$ |embedrec )", block.text), where
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "console":
            assert block.text.startswith("$ "), where
        elif block.language == "python":
            compile(block.text, name, "exec")


@pytest.mark.parametrize("name", NAMED)
def test_commands_that_are_not_run_are_valid(name: str) -> None:
    text = NAMED[name].read_text()
    shell = [block for block in blocks(text) if block.language in ("console", "sh")]
    for line in [line for block in shell for command, _ in commands(block) for line in command.splitlines()]:
        if is_plain(line):
            parse(line)


def parse(line: str) -> None:
    """Raises click.UsageError for a command that the command line does not take."""
    _, *words = shlex.split(line, comments=True)
    command: click.Command = cli
    context = click.Context(cli, info_name="embedrec")
    while isinstance(command, click.Group):
        name, result, words = command.resolve_command(context, words)
        assert result is not None
        command, context = result, click.Context(result, info_name=name, parent=context)
    with contextlib.suppress(click.exceptions.Exit), contextlib.redirect_stdout(io.StringIO()):
        command.make_context(line, words)


def test_the_blocks_that_are_not_run_are_known() -> None:
    reasons = {name: [b.not_run for b in blocks(path.read_text()) if b.not_run] for name, path in NAMED.items()}
    assert {name: result for name, result in reasons.items() if result} == NOT_RUN


def test_noise_is_numbers_ids_and_names() -> None:
    assert without_noise("index  w-ivf  2026-11-22T03:21:46  IVF412,Flat, 16,106 items, recall@20 0.9936, 0.27 ms") == (
        "index w-ivf N IVFN,Flat, N items, recall@N N, N ms"
    )
    assert without_noise("Daft Punk     1  M83 & co  0.5000") == "ITEM N ITEM N"
    assert without_noise("using model word2vec (models/word2vec)") == "using model word2vec (models/word2vec)"
    with pytest.raises(AssertionError):
        check_lines("", ["a 1", "…", "b 2"], ["a 5", "c"])
    with pytest.raises(AssertionError):
        check_lines("", ["a 1"], ["a 5", "a 6"])
    check_lines("", ["a 1", "…", "b 2"], ["a 5", "x", "y", "b 7"])
    with pytest.raises(AssertionError):
        check_numbers("a 0.50", "a 0.60")
    with pytest.raises(AssertionError):
        check_numbers("a 5", "a 6")
    check_numbers("a 0.50", "a 0.51")


def test_blocks_are_found_with_their_comments() -> None:
    page = "<!-- not run: why -->\n```sh\nembedrec x | y\n```\n\n1. x\n\n    ```python\n    print(1)\n    ```\n\n"
    page += "    ```text\n    1\n    ```\n"
    shell, python, _ = blocks(page)
    assert shell == Block("sh", "embedrec x | y\n", 2, "why") and not is_plain(shell.text)
    assert (python.text, python.prints, python.not_run) == ("print(1)\n", "    1\n", "")
    assert commands(Block("console", "$ embedrec a \\\n  b\nc\n$ d\n", 1)) == [("embedrec a b", ["c"]), ("d", None)]
