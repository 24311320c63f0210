"""The examples of `scripts/consumers` read from a running service."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedrec.storage.workspace import Workspace
from tests.serving.test_server import Running

CONSUMERS = Path(__file__).parents[2] / "scripts" / "consumers"
PROGRAMS = [[sys.executable, str(CONSUMERS / "similar.py")], ["node", str(CONSUMERS / "similar.mjs")]]


@pytest.fixture(scope="module")
def url(vectors_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a service that needs the key "k"."""
    log = tmp_path_factory.mktemp("log") / "log"
    running = Running(Workspace(vectors_root).root, log, "--api-key", "k", "--sessions", str(log.with_name("sessions")))
    running.wait_ready()
    yield f"{running.url}/v1"
    running.stop()


@pytest.mark.parametrize("program", PROGRAMS, ids=["python", "node"])
@pytest.mark.parametrize(
    ("item", "key", "code", "lines"),
    [
        ("a", "k", 0, ["b", "c", "d"]),
        ("no/body", "k", 0, []),
        ("a", "wrong", 1, ["send the key as Authorization: Bearer KEY or X-API-Key: KEY"]),
    ],
)
def test_examples_read_from_a_service(
    url: str, program: list[str], item: str, key: str, code: int, lines: list[str]
) -> None:
    env = {**os.environ, "EMBEDREC_API_KEY": key}
    done = subprocess.run([*program, url, item], capture_output=True, text=True, env=env, check=False)
    name = Path(program[1]).name
    assert done.returncode == code, done.stderr
    if code:
        assert done.stderr == f"{name}: {lines[0]}\n"
    else:
        assert done.stdout.split() == lines


def test_a_service_that_does_not_run_is_one_line() -> None:
    for program in PROGRAMS:
        done = subprocess.run([*program, "http://127.0.0.1:1/v1", "a"], capture_output=True, text=True, check=False)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
