"""The state of a worker: what it serves, and where it computes."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import RLock
from traceback import format_exception
from typing import Any

from embedrec.errors import EmbedrecError
from embedrec.progress import Report
from embedrec.runtime import limit_threads
from embedrec.runtime.freed_memory import return_freed_memory
from embedrec.serving import schemas
from embedrec.serving.answers import Computing
from embedrec.serving.batches import Batches
from embedrec.serving.control import Command, Control
from embedrec.serving.live_sessions import States
from embedrec.serving.metrics import Metrics
from embedrec.serving.problems import Problem
from embedrec.serving.selection import select
from embedrec.serving.session_store import open_store
from embedrec.serving.settings import ServeSettings
from embedrec.serving.sources import Served
from embedrec.storage.artifacts import FOLDERS, MANIFEST
from embedrec.storage.workspace import Workspace
from embedrec.version import __version__

_SESSIONS = "sessions.sqlite"
_PURGE = 60.0  # seconds between two looks for sessions whose time is over
THREADS = 2  # of a worker, for answers that take long


class Service:
    """What a worker serves.

    served    None until artifacts are opened; a request uses the one it finds when it begins
    previous  what was served before, to go back to
    waiting   why nothing is served yet
    refused   artifacts that are not served, and why
    shared    a folder for what several workers share; None for one worker
    report    called as report("serving", version=, names=), report("refused", kind=, name=, reason=) and
              report("note", message=); see `embedrec.progress`
    """

    def __init__(
        self, workspace: Workspace, settings: ServeSettings, report: Report, shared: Path | None = None
    ) -> None:
        self.workspace = workspace
        self.settings = settings
        self.report = report
        self.metrics = Metrics(shared)
        self.served: Served | None = None
        self.previous: Served | None = None
        self.waiting = "the artifacts are being opened"
        self.refused: list[schemas.Refusal] = []
        self.sessions = open_store(settings.sessions, workspace.root / "serving" / _SESSIONS, settings.session_ttl)
        self.states = States()
        self.control = Control(shared)
        self.executor = ThreadPoolExecutor(THREADS, "embedrec-answers", search_in_one_thread)
        self.computing = Computing(Batches(self.executor), self.executor, settings.timeout)
        self._changing = RLock()
        self._state: Any = None
        self._skipped: tuple[str, ...] = ()
        self._purged = self._looked = 0.0
        self._failure = ""

    def open(self) -> None:
        """Open what is to be served; if that fails, `waiting` says why."""
        search_in_one_thread()
        command = self.control.read()  # of the workers that run already
        if command is not None:
            self._skipped = command.skipped
        self._try(self.load)
        if self.served is None and self._skipped:  # what the others went back to is in memory only
            self._skipped = ()
            self._try(self.load)

    def load(self, *, force: bool = False) -> None:
        """Open what is new in the workspace beside what is served, check it, and serve it from the next request on.

        What does not pass the checks is refused, and the old stays. force serves also what is worse than the old.
        """
        with self._changing:
            self._state = self._workspace_state()
            try:
                selection = select(self.workspace, self.settings, self.served, skipped=self._skipped, force=force)
            except EmbedrecError as e:
                if str(e) != self.waiting:
                    self.report("note", message=f"nothing is served yet: {e}")
                self.waiting = str(e)
                return
            for refusal in selection.refused:
                if refusal not in self.refused:
                    self.report("refused", kind=refusal.kind, name=refusal.name, reason=refusal.reason)
            self.refused = selection.refused
            if self.served is None or selection.served.version != self.served.version:
                self._serve(selection.served)

    def _serve(self, served: Served) -> None:
        self.previous, self.served = self.served, served
        self.control.mark_ready()
        self.report("serving", version=served.version, names=[source.version for source in served.sources.values()])
        for source in served.sources.values():  # at the start, requests are answered meanwhile
            source.read_ids()
        return_freed_memory()

    def tick(self) -> None:
        """Follow commands, look for new artifacts, forget sessions; called several times a second, in a thread."""
        for work in (self._obey, self._look, self._purge):
            self._try(work)

    def _try(self, work: Callable[[], None]) -> None:
        """Report an unexpected error, once while it is repeated, and go on."""
        try:
            work()
        except Exception as e:
            failure = "".join(format_exception(e))
            if failure != self._failure:
                self.report("failed", message=failure)
            self._failure = failure

    def _obey(self) -> None:
        with self._changing:  # commands are followed in their order
            command = self.control.read()
            if command is not None:
                self._follow(command)

    def _look(self) -> None:
        now = time.monotonic()
        if self.settings.watch and now - self._looked >= self.settings.watch:
            self._looked = now
            if self._workspace_state() != self._state:
                self.load()
            if self.settings.workers > 1:
                self.metrics.save()

    def _purge(self) -> None:
        now = time.monotonic()
        if now - self._purged >= _PURGE:
            self._purged = now
            self.states.purge(now)
            try:
                self.sessions.purge(time.time())
            except EmbedrecError as e:
                self.report("note", message=str(e))

    def reload(self, *, force: bool = False) -> schemas.VersionAnswer:
        """Look for new artifacts now, in every worker; also for those that were skipped by a rollback."""
        with self._changing:
            self._follow(self.control.write(Command(force=force)))
        return self.version()

    def rollback(self) -> schemas.VersionAnswer:
        """Serve again what was served before, in every worker, until something newer comes or `reload` is called.

        Raises Problem 422 if nothing was served before.
        """
        with self._changing:
            current, previous = self.current(), self.previous
            if previous is None:
                raise Problem(422, "nothing was served before")
            before = {source.artifact.digest for source in previous.sources.values()}
            skipped = {source.artifact.digest for source in current.sources.values()} - before
            self._follow(self.control.write(Command(version=previous.version, skipped=tuple(sorted(skipped)))))
        return self.version()

    def _follow(self, command: Command) -> None:
        with self._changing:
            self._skipped = command.skipped
            if not command.version:
                self.load(force=command.force)
            elif self.previous is not None and self.previous.version == command.version:
                self._serve(self.previous)

    def _workspace_state(self) -> Any:
        """It changes with the manifests of the workspace."""
        state = []
        for kind in ("index", "model"):
            for manifest in sorted((self.workspace.root / FOLDERS[kind]).glob(f"*/{MANIFEST}")):
                try:
                    info = manifest.stat()
                except OSError:  # it is being replaced
                    continue
                state.append((str(manifest), info.st_ino, info.st_mtime_ns, info.st_size))
        return state

    def current(self) -> Served:
        """What is served. Raises Problem 503 if there is nothing."""
        if self.served is None:
            raise Problem(503, f"nothing is served yet: {self.waiting}", headers={"retry-after": "5"})
        return self.served

    def version(self) -> schemas.VersionAnswer:
        """The names, fingerprints and measurements of what is served."""
        served = self.current()
        described = served.describe()
        now = {one.fingerprint for one in described}
        before = [] if self.previous is None else self.previous.describe()
        previous = [one for one in before if one.fingerprint not in now]
        return schemas.VersionAnswer(served.version, __version__, described, self.refused, previous)

    def ready(self) -> schemas.Ready:
        """Whether it answers. Raises Problem 503 if it does not."""
        return schemas.Ready("ready", self.current().version, self.refused)

    def metrics_text(self) -> bytes:
        """Measurements in the text format of Prometheus, of all workers."""
        sources = [] if self.served is None else self.served.sources.values()
        listed = [(s.artifact.kind, s.name, s.artifact.fingerprint[:12]) for s in sources]
        return self.metrics.text(listed, self.served is not None)

    def close(self) -> None:
        """End its threads; those that compute are waited for."""
        self.executor.shutdown(wait=True, cancel_futures=True)


def search_in_one_thread() -> None:
    """Let searches of this thread use no others: requests are answered side by side. OpenMP counts for each thread."""
    limit_threads(1)
