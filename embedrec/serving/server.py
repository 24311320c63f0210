"""The web server: uvicorn in one process, or in several that share a socket."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from threading import Event, Thread
from typing import Any

from embedrec.errors import SettingsError
from embedrec.serving.settings import ServeSettings

_BACKLOG = 2048
_SWITCH = 0.0005  # seconds that a thread may compute before the event loop has its turn
_LOOK = 0.2  # seconds between two looks at the workers and at signals
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LIBRARIES = ("uvicorn", "faiss", "numba", "pyarrow.parquet", "embedrec.serving.service", "embedrec.serving.app")


def bind(settings: ServeSettings) -> socket.socket:
    """A socket at the address of the settings. Raises SettingsError if it cannot be used."""
    host, port = settings.address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(_BACKLOG)  # before another service finds the address free
    except OSError as e:
        bound.close()
        raise SettingsError(f"{settings.bind} cannot be used ({e.strerror}); choose another address with --bind") from e
    bound.set_inheritable(True)
    return bound


def url_of(bound: socket.socket) -> str:
    """The URL of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if bound.family == socket.AF_INET6 else f"http://{host}:{port}"


def serve(make_application: Callable[[], Any], bound: socket.socket, settings: ServeSettings) -> None:
    """Answer requests until SIGTERM or Ctrl-C; requests that have begun are answered first.

    make_application  called in every process; can be pickled
    """
    if settings.workers == 1:
        run_worker(make_application, bound, settings)
    else:
        supervise(make_application, bound, settings)


def run_worker(make_application: Callable[[], Any], bound: socket.socket, settings: ServeSettings) -> None:
    """Answer requests in this process."""
    from uvicorn import Config, Server

    from embedrec.serving.connections import Connection

    class QuietServer(Server):
        """A server that ends normally at a signal."""

        @contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            with super().capture_signals():
                yield
                self._captured_signals.clear()

    config = Config(
        make_application,
        factory=True,
        http=partial(Connection, seconds=settings.timeout),  # type: ignore[arg-type]  # it is called, no more
        log_config=None,
        log_level="error",  # a request that is no HTTP is the fault of its client
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        ws="none",
        backlog=_BACKLOG,
        timeout_graceful_shutdown=max(1, round(settings.timeout)),
    )
    sys.setswitchinterval(_SWITCH)
    parent = parent_process()
    if parent is not None:
        Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    QuietServer(config).run(sockets=[bound])


def _end_with(sentinel: int) -> None:
    """Stop this process when its parent ends, however that ends: else it would keep the address."""
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def supervise(make_application: Callable[[], Any], bound: socket.socket, settings: ServeSettings) -> None:
    """Keep the workers running until a signal, then stop them; one that ends is started again.

    On Linux workers are forks of this process, which has loaded what they import, so that they share its memory.
    """
    context: Any = get_context("fork" if sys.platform == "linux" else "spawn")
    if sys.platform == "linux":
        load_libraries()
    stopping = Event()
    for number in _SIGNALS:
        signal.signal(number, lambda *_: stopping.set())

    def start() -> BaseProcess:
        worker: BaseProcess = context.Process(target=_work, args=(make_application, bound, settings))
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # until the worker has its own handlers
        worker.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return worker

    workers = [start() for _ in range(settings.workers)]
    while not stopping.is_set():
        ended = wait([worker.sentinel for worker in workers], timeout=_LOOK)
        if ended and not stopping.is_set():
            stopping.wait(_LOOK)  # a worker that cannot start is not tried all the time
            workers = [start() if worker.sentinel in ended and not stopping.is_set() else worker for worker in workers]
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join()


def load_libraries() -> None:
    """Load what all workers import, with BLAS in one thread: other threads do not survive a fork. Arrow's allocator has
    one, which it starts again.

    What is loaded is hidden from the garbage collector, which would write to its memory and so end the sharing.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name in _LIBRARIES:
        import_module(name)
    gc.freeze()


def _work(make_application: Callable[[], Any], bound: socket.socket, settings: ServeSettings) -> None:
    """`run_worker` in a process that may be a fork, with the signal handlers of its parent."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    run_worker(make_application, bound, settings)
