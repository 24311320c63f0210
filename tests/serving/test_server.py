"""Real processes on free ports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import embedrec
from embedrec.errors import SettingsError
from embedrec.serving.server import bind, url_of
from embedrec.serving.settings import ServeSettings
from embedrec.storage.workspace import Workspace


class Running:
    """A running `embedrec serve`."""

    def __init__(self, workspace: Path, log: Path, *options: str) -> None:
        command = [sys.executable, "-m", "embedrec", "serve", "--bind", "127.0.0.1:0", *options]
        env = {**os.environ, "PYTHONPATH": str(Path(embedrec.__file__).parents[1])}
        self.log = log
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(command, cwd=workspace, env=env, stderr=stderr, stdout=subprocess.DEVNULL)
        self.url = ""

    def wait_ready(self) -> httpx.Response:
        return self.wait(lambda: httpx.get(f"{self._url()}/health/ready", timeout=10))

    def wait(self, ask: Callable[[], httpx.Response]) -> httpx.Response:
        """The first answer with status 200 within a minute."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log.read_text()
            try:
                response = ask()
            except (httpx.TransportError, LookupError):
                response = None
            if response is not None and response.status_code == 200:
                return response
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def _url(self) -> str:
        lines = [line for line in self.log.read_text().splitlines() if " at http://" in line]
        self.url = lines[0].rpartition(" ")[2] if lines else ""
        if not self.url:
            raise LookupError
        return self.url

    def children(self) -> list[int]:
        """The process ids of the workers."""
        parent = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return list(map(int, Path(parent).read_text().split()))

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


Start = Callable[..., Running]


@pytest.fixture
def start(plays: Workspace, tmp_path: Path) -> Iterator[Start]:
    started: list[Running] = []

    def begin(*options: str) -> Running:
        started.append(Running(plays.root, tmp_path / f"log{len(started)}", *options))
        return started[-1]

    yield begin
    for running in started:
        running.stop()


def test_a_process_answers_until_it_is_told_to_stop(start: Start) -> None:
    running = start()
    assert running.wait_ready().json()["status"] == "ready"
    answer = httpx.get(f"{running.url}/v1/similar/a").json()
    assert [n["item"] for n in answer["results"][0]["neighbours"]] == ["b", "c", "d"]
    assert running.stop() == 0
    assert "Traceback" not in running.log.read_text()


@pytest.mark.slow
def test_a_killed_worker_is_replaced_while_the_other_answers(start: Start) -> None:
    running = start("--workers", "2")
    running.wait_ready()
    running.wait(lambda: _status(200 if len(running.children()) == 2 else 503))
    first = running.children()[0]
    os.kill(first, signal.SIGKILL)
    running.wait(lambda: _status(200 if len(running.children()) == 2 and first not in running.children() else 503))
    assert running.wait(lambda: httpx.get(f"{running.url}/v1/similar/a")).status_code == 200
    workers = running.children()
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait()
    end = time.monotonic() + 30
    while any(map(_is_alive, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(_is_alive, workers))  # else they would keep the address


def _status(status: int) -> httpx.Response:
    return httpx.Response(status)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_addresses_are_bound() -> None:
    with bind(ServeSettings(bind="127.0.0.1:0")) as bound:
        url = url_of(bound)
        assert url == f"http://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(SettingsError, match=r"cannot be used \(Address already in use\); choose another address"):
            bind(ServeSettings(bind=url.removeprefix("http://")))


def test_requests_that_have_begun_are_answered_before_the_end(start: Start) -> None:
    """A client that is sending its body when SIGTERM comes has its answer."""
    running = start()
    running.wait_ready()
    body = b'{"items": ["a"]}'

    def parts() -> Iterator[bytes]:
        yield body[:5]
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        yield body[5:]

    response: Any = httpx.post(f"{running.url}/v1/similar", content=parts())
    assert response.status_code == 200
    assert running.process.wait(timeout=60) == 0
