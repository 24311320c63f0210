"""Servers for tests: started on free ports of 127.0.0.1, in folders of their own, and stopped by their process id."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

_STARTED = 30  # seconds a server may take
_NOBODY = 65534  # PostgreSQL does not run as root


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


@contextmanager
def running(words: list[str], ready: Callable[[], bool], folder: Path, user: int | None = None) -> Iterator[int]:
    """A server that is ready; its process id."""
    log = folder / "log"
    with log.open("wb") as out:
        as_user = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        process = subprocess.Popen(words, stdout=out, stderr=out, cwd=folder, **as_user)  # type: ignore[call-overload]
    try:
        until = time.monotonic() + _STARTED
        while not ready():
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.02)
        yield process.pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGINT)  # both end at once, without waiting for clients
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def redis_missing() -> str:
    """The reason for which Redis cannot be started; "" if it can."""
    return "" if shutil.which("redis-server") else "there is no redis-server; install the package of that name"


@contextmanager
def redis_server(password: str = "", port: int | None = None) -> Iterator[str]:
    """The URL of an empty Redis."""
    import redis

    port = port or free_port()
    url = f"redis://{f':{password}@' if password else ''}127.0.0.1:{port}/0"
    words = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    words += ["--requirepass", password] if password else []

    def ready() -> bool:
        with suppress(redis.ConnectionError), redis.Redis.from_url(url) as client:
            return bool(client.ping())
        return False

    with tempfile.TemporaryDirectory() as folder, running([*words, "--dir", folder], ready, Path(folder)):
        yield url


def postgres_missing() -> str:
    """The reason for which PostgreSQL with pgvector cannot be started; "" if it can."""
    return "" if find_spec("pgserver") else "there is no pgserver; install the extra 'dev' with a Python below 3.13"


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of an empty PostgreSQL; its user needs a password, which is in the URL."""
    import psycopg

    result = find_spec("pgserver")
    assert result is not None and result.origin is not None
    package = Path(result.origin).parent
    programs = package / "pginstall"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        user = None
        if os.geteuid() == 0:
            user = _NOBODY
            folder.chmod(0o711)
            for part in ("pgserver/pginstall", "pgserver.libs"):  # where everybody may look; libraries are found beside
                if (package.parent / part).is_dir():
                    shutil.copytree(package.parent / part, folder / part)
            programs = folder / "pgserver" / "pginstall"
        data = folder / "data"
        data.mkdir(mode=0o700)
        secret = folder / "secret"
        secret.write_text("s3cret-postgres\n")
        if user is not None:
            os.chown(data, user, user)
            os.chown(secret, user, user)
        as_user = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        made = subprocess.run(
            [programs / "bin" / "initdb", "-D", data, "-U", "shop", "--pwfile", secret, "--auth", "scram-sha-256",
             "--encoding", "utf8", "--no-sync", "--no-instructions"],
            capture_output=True, text=True, cwd=folder, check=False, **as_user,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        port = free_port()
        url = f"postgresql://shop:s3cret-postgres@127.0.0.1:{port}/postgres"
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "32MB",
        }
        words = [str(programs / "bin" / "postgres"), "-D", str(data), "-p", str(port)]
        words += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

        def ready() -> bool:
            with suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=2):
                return True
            return False

        with running(words, ready, folder, user):
            yield url
