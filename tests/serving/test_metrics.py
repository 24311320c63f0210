"""Measurements of requests, of one worker and of several."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from embedrec.serving import metrics
from embedrec.serving.metrics import Metrics
from embedrec.storage.workspace import Workspace
from tests.serving.conftest import Client, Serve

EXPECTED = """\
# HELP embedrec_ready Whether requests are answered.
# TYPE embedrec_ready gauge
embedrec_ready 1
# HELP embedrec_served The indexes and models that are served.
# TYPE embedrec_served gauge
embedrec_served{kind="index",name="flat",version="f1"} 1
# HELP embedrec_requests_total Requests.
# TYPE embedrec_requests_total counter
embedrec_requests_total{route="/a",model="flat",version="f1",status="200"} 2
embedrec_requests_total{route="/a",model="flat",version="f1",status="404"} 1
# HELP embedrec_errors_total Requests that were answered with an error.
# TYPE embedrec_errors_total counter
embedrec_errors_total{route="/a",model="flat",version="f1",status="404"} 1
# HELP embedrec_misses_total Requests for items, sessions or routes that are unknown.
# TYPE embedrec_misses_total counter
embedrec_misses_total{route="/a",model="flat",version="f1"} 1
# HELP embedrec_request_seconds Seconds from the request to its answer.
# TYPE embedrec_request_seconds histogram
"""


def test_requests_are_counted() -> None:
    counted = Metrics()
    for status, seconds in ((200, 0.001), (200, 0.3), (404, 99.0)):
        counted.record("/a", "flat@f1", status, seconds)
    text = counted.text([("index", "flat", "f1")], True).decode()
    assert text.startswith(EXPECTED)
    buckets = re.findall(r'le="([^"]+)"} (\d+)', text)
    assert [(bound, int(count)) for bound, count in buckets] == [
        (bound, 0 if at < 1 else 1 if at < 9 else 2 if at < 14 else 3)
        for at, bound in enumerate([*map(str, metrics.BOUNDS), "+Inf"])
    ]
    assert 'embedrec_request_seconds_sum{route="/a",model="flat",version="f1"} 99.301000' in text
    assert 'embedrec_request_seconds_count{route="/a",model="flat",version="f1"} 3' in text


def test_workers_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Metrics(tmp_path), Metrics(tmp_path)
    first.record("/a", "", 200, 0.25)
    first.record("/a", "", 404, 0.25)
    second.record("/a", "", 200, 0.5)
    monkeypatch.setattr(metrics.os, "getpid", lambda: -1)
    first.save()
    (tmp_path / "metrics-7.json").write_text("{")  # of a worker that was killed while its disk was full
    monkeypatch.undo()
    merged = second.merged()
    assert {labels: (sum(c.buckets), c.seconds) for labels, c in merged.items()} == {
        ("/a", "", 200): (2, 0.75),
        ("/a", "", 404): (1, 0.25),
    }


def test_labels_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MOST_LABELS", 3)
    counted = Metrics()
    for version in range(5):
        counted.record("/a", f"flat@{version}", 200, 0.1)
    assert [version for _, version, _ in counted.counts] == ["flat@2", "flat@3", "flat@4"]


def test_labels_are_escaped() -> None:
    text = Metrics().text([("index", 'a"\\\n', "1")], False).decode()
    assert 'name="a\\"\\\\\\n"' in text


def test_the_service_measures_routes_and_versions(client: Client) -> None:
    client.get("/v1/similar/a")
    client.get("/v1/similar/zz")
    client.post("/v1/recommend", {"items": ["a"], "model": "sknn"})
    client.get("/v1/similar/a?k=0")
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    found = re.findall(
        r'requests_total{route="([^"]*)",model="([^"]*)",version="[0-9a-f]*",status="(\d+)"} (\d+)', response.text
    )
    assert found == [
        ("/v1/similar/{item}", "flat", "200", "1"),
        ("/v1/similar/{item}", "flat", "404", "1"),
        ("/v1/recommend", "sknn", "200", "1"),
        ("/v1/similar/{item}", "", "422", "1"),
    ]
    assert 'embedrec_misses_total{route="/v1/similar/{item}",model="flat",' in response.text


def test_measurements_need_the_key(plays: Workspace, serve: Serve) -> None:
    assert serve(plays, api_key="k").get("/metrics").status_code == 401


def test_counts_are_saved_while_requests_are_counted(tmp_path: Path) -> None:
    """The files of a worker are written in a thread, and when it is asked."""
    counted = Metrics(tmp_path)
    done = Event()

    def count() -> None:
        for number in range(20_000):
            counted.record(f"/{number % 700}", "", 200, 0.1)
        done.set()

    with ThreadPoolExecutor(3) as threads:
        saving = [threads.submit(lambda: [counted.merged() for _ in iter(done.is_set, True)]) for _ in range(2)]
        threads.submit(count).result()
        assert all(one.result() for one in saving)
    assert len(counted.merged()) == metrics.MOST_LABELS
