"""Settings of the service."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

from embedrec.config import Settings, check_bounds
from embedrec.errors import SettingsError

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s]+")  # as browsers send it, without a path


@dataclass(frozen=True)
class ServeSettings(Settings):
    """Settings of `embedrec serve`; each is also an environment variable and a key of the table [serve] in TOML.

    bind            address and port, such as 127.0.0.1:8000 or [::1]:8000; port 0 takes a free one
    index           names of indexes to serve; with neither indexes nor models, the newest artifacts
    model           names of models to serve
    pin             names of indexes and models that stay as they are when their artifacts are replaced
    workers         number of processes
    api_key         key that requests must send; needed for any address but loopback
    allow_host      further names by which the service is asked without a key, as behind a proxy; "*" for all
    cors            origins of web pages that may ask the service; "*" for all
    max_body        bytes of a request body
    max_concurrent  requests that a worker computes or queues at a time; it refuses more with status 429
    timeout         seconds to read a request, and to compute its answer
    device          "cuda" searches on a GPU
    watch           seconds between two looks at the workspace for new artifacts; 0 for none
    sessions        live sessions: a SQLite file or a Redis URL; empty for a file in the workspace
    session_ttl     seconds that a live session is kept after its last event
    log_json        whether a line of JSON is written for every request

    Raises SettingsError for values that are not allowed, and for an address but loopback without a key.
    """

    bind: str = "127.0.0.1:8000"
    index: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    pin: tuple[str, ...] = ()
    workers: int = 1
    api_key: str | None = None
    allow_host: tuple[str, ...] = ()
    cors: tuple[str, ...] = ()
    max_body: int = 1 << 20
    max_concurrent: int = 256
    timeout: float = 10.0
    device: str = "cpu"
    watch: float = 1.0
    sessions: str = ""
    session_ttl: float = 3600.0
    log_json: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        bounds = {
            "workers": (1, 256),
            "max_body": (1, 1 << 31),
            "max_concurrent": (1, 1 << 20),
            "timeout": (0.001, 86_400),
            "watch": (0, 86_400),
            "session_ttl": (0.001, 1 << 31),
        }
        check_bounds(self, bounds)
        if self.device not in ("cpu", "cuda"):
            raise SettingsError(f"device must be cpu or cuda, but is {self.device!r}")
        for origin in self.cors:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise SettingsError(
                    f"cors must be the origin of a web page, such as https://shop.example, or *, but is {origin!r}"
                )
        host, _ = self.address
        if self.api_key is not None and not (self.api_key.isascii() and self.api_key.isprintable() and self.api_key):
            raise SettingsError("the API key must consist of printable ASCII characters; choose another one")
        if self.api_key is None and not is_loopback(host):
            raise SettingsError(
                f"{host} can be reached from other machines, which needs a key; set --api-key or EMBEDREC_API_KEY, "
                "or bind to 127.0.0.1"
            )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port. Raises SettingsError if `bind` has none."""
        host, colon, port = self.bind.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not (colon and host and port.isdecimal() and int(port) < 1 << 16):
            raise SettingsError(f"bind must be an address and a port, such as 127.0.0.1:8000, but is {self.bind!r}")
        return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
