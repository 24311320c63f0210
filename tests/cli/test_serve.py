"""`embedrec serve`: how its settings are read, and what it prints. Processes are started in tests/serving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from embedrec.cli.serve import Worker
from embedrec.serving import server
from embedrec.serving.settings import ServeSettings
from embedrec.storage.workspace import Workspace
from tests.cli.conftest import Run, fails, succeed


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[ServeSettings]:
    """The settings that the server is started with; it ends at once."""
    started: list[ServeSettings] = []
    monkeypatch.setattr(server, "serve", lambda make, bound, settings: started.append(settings))
    return started


def test_options_over_variables_over_files_over_defaults(
    run: Run, tmp_path: Path, served: list[ServeSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "serve.toml"
    config.write_text('[serve]\nworkers = 2\ntimeout = 3\nmax_body = 5\ncors = ["https://a.example"]\n')
    monkeypatch.setenv("EMBEDREC_SERVE_TIMEOUT", "4")
    monkeypatch.setenv("EMBEDREC_SERVE_MAX_BODY", "6")
    monkeypatch.setenv("EMBEDREC_API_KEY", "k")
    succeed(run, "serve", "--config", config, "--bind", "127.0.0.1:0", "--max-body", 7, "--model", "a", "--model", "b")
    assert served == [
        ServeSettings(
            bind="127.0.0.1:0",
            workers=2,
            timeout=4.0,
            max_body=7,
            cors=("https://a.example",),
            api_key="k",
            model=("a", "b"),
        )
    ]


def test_it_prints_where(run: Run, tmp_path: Path, served: list[ServeSettings]) -> None:
    result = succeed(run, "serve", "--bind", "127.0.0.1:0", "--workspace", tmp_path)
    assert result.out == ""
    assert result.err.startswith(f"serving {tmp_path} at http://127.0.0.1:")
    assert len(served) == 1


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (
            "redis://:secret@127.0.0.1:1/0",
            "live sessions cannot be kept at redis://:***@127.0.0.1:1/0 (ConnectionError)",
        ),
        (".", "live sessions cannot be kept in . ([Errno 21] Is a directory: '.')"),
    ],
)
def test_sessions_that_cannot_be_kept_are_an_error_before_it_starts(
    run: Run, tmp_path: Path, served: list[ServeSettings], monkeypatch: pytest.MonkeyPatch, place: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert fails(run, "serve", "--bind", "127.0.0.1:0", "--sessions", place) == message
    assert served == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--bind", "0.0.0.0:0"), "0.0.0.0 can be reached from other machines, which needs a key; set --api-key or"),
        (("--bind", "x"), "bind must be an address and a port, such as 127.0.0.1:8000, but is 'x'"),
        (
            ("--bind", "203.0.113.1:1", "--api-key", "k"),
            "203.0.113.1:1 cannot be used (Cannot assign requested address)",
        ),
        (("--config", "missing.toml"), "no settings file missing.toml; check the path"),
    ],
)
def test_wrong_options_are_refused(run: Run, options: tuple[str, ...], message: str) -> None:
    assert fails(run, "serve", *options).startswith(message)


def test_events_are_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fields: dict[str, Any] = {"version": "v", "names": ["flat@1", "sknn@2"]}
    Worker(Workspace(tmp_path), ServeSettings(), tmp_path).report("serving", **fields)
    Worker(Workspace(tmp_path), ServeSettings(log_json=True), tmp_path).report("serving", **fields)
    text, line = capsys.readouterr().err.splitlines()
    assert text == "serving flat@1, sknn@2"
    assert '"event": "serving"' in line and '"names": ["flat@1", "sknn@2"]' in line
