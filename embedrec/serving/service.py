"""The state of a worker: what it serves, and where it computes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from embedrec.errors import EmbedrecError
from embedrec.progress import Report
from embedrec.serving import schemas
from embedrec.serving.answers import Computing
from embedrec.serving.batches import Batches
from embedrec.serving.live_sessions import States
from embedrec.serving.metrics import Metrics
from embedrec.serving.problems import Problem
from embedrec.serving.session_store import open_store
from embedrec.serving.settings import ServeSettings
from embedrec.serving.sources import Served, open_served
from embedrec.storage.workspace import Workspace
from embedrec.version import __version__

_SESSIONS = "sessions.sqlite"
_PURGE = 60.0  # seconds between two looks for sessions whose time is over
THREADS = 2  # of a worker, for answers that take long


class Service:
    """What a worker serves.

    served   None until artifacts are opened; a request uses the one it finds when it begins
    waiting  why nothing is served yet
    refused  artifacts that are not served, and why
    shared   a folder for what several workers share; None for one worker
    report   called as report("serving", version=…), report("refused", …); see `embedrec.progress`
    """

    def __init__(
        self, workspace: Workspace, settings: ServeSettings, report: Report, shared: Path | None = None
    ) -> None:
        self.workspace = workspace
        self.settings = settings
        self.report = report
        self.shared = shared
        self.metrics = Metrics(shared)
        self.served: Served | None = None
        self.waiting = "the artifacts are being opened"
        self.refused: list[schemas.Refusal] = []
        self.sessions = open_store(settings.sessions, workspace.root / "serving" / _SESSIONS, settings.session_ttl)
        self.states = States()
        self._purged = 0.0
        self.executor = ThreadPoolExecutor(THREADS, thread_name_prefix="embedrec-answers")
        self.computing = Computing(Batches(self.executor), self.executor, settings.timeout)

    def open(self) -> None:
        """Open what is to be served; if that fails, `waiting` says why."""
        import faiss

        faiss.omp_set_num_threads(1)  # requests are answered side by side
        try:
            served = open_served(self.workspace, self.settings)
        except EmbedrecError as e:
            self.waiting = str(e)
            self.report("note", message=f"nothing is served yet: {e}")
            return
        self.served = served
        self.report("serving", version=served.version, names=[source.version for source in served.sources.values()])

    def current(self) -> Served:
        """What is served. Raises Problem 503 if there is nothing."""
        if self.served is None:
            raise Problem(503, f"nothing is served yet: {self.waiting}", headers={"retry-after": "5"})
        return self.served

    def version(self) -> schemas.VersionAnswer:
        """The names, fingerprints and measurements of what is served."""
        served = self.current()
        return schemas.VersionAnswer(served.version, __version__, served.describe(), self.refused)

    def ready(self) -> schemas.Ready:
        """Whether it answers. Raises Problem 503 if it does not."""
        return schemas.Ready("ready", self.current().version, self.refused)

    def tick(self) -> None:
        """What is done once a second, in a thread."""
        if self.settings.workers > 1:
            self.metrics.save()
        now = time.time()
        if now - self._purged > _PURGE:
            self._purged = now
            try:
                self.sessions.purge(now)
            except EmbedrecError as e:
                self.report("note", message=str(e))

    def metrics_text(self) -> bytes:
        """Measurements in the text format of Prometheus, of all workers."""
        sources = [] if self.served is None else self.served.sources.values()
        listed = [(s.artifact.kind, s.name, s.artifact.fingerprint[:12]) for s in sources]
        return self.metrics.text(listed, self.served is not None)

    def close(self) -> None:
        """End its threads; those that compute are waited for."""
        self.executor.shutdown(wait=True, cancel_futures=True)
