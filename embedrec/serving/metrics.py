"""Measurements of the service in the text format of Prometheus.

Each worker counts for itself; with several, every worker writes its counts to a file once a second, and the worker that
is asked adds the files up.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from threading import Lock

import msgspec

from embedrec.errors import decoded_or_none

BOUNDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
MOST_LABELS = 512  # sets of labels that are kept: versions come and go
_UNKNOWN_ITEM = 404

Labels = tuple[str, str, int]  # route, version as answers state it, status


class Counts(msgspec.Struct):
    """Requests of one set of labels: in each range of seconds, and their seconds together."""

    buckets: list[int]
    seconds: float = 0.0


class Metrics:
    """Counts of requests by route, index or model, its version, and status.

    folder  where several workers keep their files; None for one worker
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.counts: dict[Labels, Counts] = {}
        self._saving = Lock()

    def record(self, route: str, version: str, status: int, seconds: float) -> None:
        """Count a request.

        version  as answers state it, "name@fingerprint"; "" if none answered
        """
        labels = (route, version, status)
        counts = self.counts.get(labels)
        if counts is None:
            while len(self.counts) >= MOST_LABELS:
                del self.counts[next(iter(self.counts))]
            counts = self.counts[labels] = Counts([0] * (len(BOUNDS) + 1))
        counts.buckets[bisect_left(BOUNDS, seconds)] += 1
        counts.seconds += seconds

    def save(self) -> None:
        """Write the counts for the other workers; may be called beside `record`."""
        if self.folder is not None:
            rows = [[*labels, counts] for labels, counts in self.counts.copy().items()]
            with self._saving:
                draft = self.folder / f".metrics-{os.getpid()}"
                draft.write_bytes(msgspec.json.encode(rows))
                draft.replace(self.folder / f"metrics-{os.getpid()}.json")

    def merged(self) -> dict[Labels, Counts]:
        """The counts of all workers, also of those that ended."""
        self.save()
        if self.folder is None:
            return self.counts
        merged: dict[Labels, Counts] = {}
        for file in sorted(self.folder.glob("metrics-*.json")):
            rows = decoded_or_none(lambda file=file: msgspec.json.decode(file.read_bytes(), type=list[_Row]))  # type: ignore[misc]
            for route, version, status, counts in rows or ():
                labels = (route, version, status)
                before = merged.get(labels)
                if before is None:
                    merged[labels] = counts
                else:
                    buckets = [a + b for a, b in zip(before.buckets, counts.buckets, strict=True)]
                    merged[labels] = Counts(buckets, before.seconds + counts.seconds)
        return merged

    def text(self, served: Iterable[tuple[str, str, str]], ready: bool) -> bytes:
        """The measurements as text.

        served  kind, name and fingerprint of what is served
        """
        lines = list(_lines(self.merged(), served, ready))
        return ("\n".join(lines) + "\n").encode()


_Row = tuple[str, str, int, Counts]


def _lines(counts: Mapping[Labels, Counts], served: Iterable[tuple[str, str, str]], ready: bool) -> Iterator[str]:
    yield from _head("embedrec_ready", "gauge", "Whether requests are answered.")
    yield f"embedrec_ready {int(ready)}"
    yield from _head("embedrec_served", "gauge", "The indexes and models that are served.")
    for kind, name, fingerprint in served:
        yield f"embedrec_served{_braces(kind=kind, name=name, version=fingerprint)} 1"
    yield from _head("embedrec_requests_total", "counter", "Requests.")
    for labels, one in counts.items():
        yield f"embedrec_requests_total{_braces(**_named(labels), status=str(labels[2]))} {sum(one.buckets)}"
    yield from _head("embedrec_errors_total", "counter", "Requests that were answered with an error.")
    for labels, one in counts.items():
        if labels[2] >= 400:
            yield f"embedrec_errors_total{_braces(**_named(labels), status=str(labels[2]))} {sum(one.buckets)}"
    yield from _head("embedrec_misses_total", "counter", "Requests for items, sessions or routes that are unknown.")
    for labels, one in counts.items():
        if labels[2] == _UNKNOWN_ITEM:
            yield f"embedrec_misses_total{_braces(**_named(labels))} {sum(one.buckets)}"
    yield from _head("embedrec_request_seconds", "histogram", "Seconds from the request to its answer.")
    for labels, one in _without_status(counts).items():
        named, total = _named(labels), 0
        for bound, count in zip([*map(str, BOUNDS), "+Inf"], one.buckets, strict=True):
            total += count
            yield f"embedrec_request_seconds_bucket{_braces(**named, le=bound)} {total}"
        yield f"embedrec_request_seconds_sum{_braces(**named)} {one.seconds:.6f}"
        yield f"embedrec_request_seconds_count{_braces(**named)} {total}"


def _without_status(counts: Mapping[Labels, Counts]) -> dict[Labels, Counts]:
    """The counts of all statuses together."""
    merged: dict[Labels, Counts] = {}
    for (route, version, _), one in counts.items():
        before = merged.get((route, version, 0))
        buckets = one.buckets if before is None else [a + b for a, b in zip(before.buckets, one.buckets, strict=True)]
        merged[route, version, 0] = Counts(buckets, one.seconds + (0.0 if before is None else before.seconds))
    return merged


def _named(labels: Labels) -> dict[str, str]:
    name, _, fingerprint = labels[1].rpartition("@")
    return {"route": labels[0], "model": name, "version": fingerprint}


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _braces(**labels: str) -> str:
    def escape(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return "{" + ",".join(f'{name}="{escape(value)}"' for name, value in labels.items()) + "}"
