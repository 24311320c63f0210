"""`embedrec serve`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from embedrec.cli.shared.json_log import write_event
from embedrec.cli.shared.options import logs_json, note, set_log_json, workspace_option
from embedrec.storage.workspace import Workspace

if TYPE_CHECKING:
    from embedrec.serving.app import Application
    from embedrec.serving.settings import ServeSettings


def _option(name: str, help_: str, **more: Any) -> Any:
    """An option that is also an environment variable, EMBEDREC_SERVE_…; None if it is not given."""
    variable = f"EMBEDREC_SERVE_{name.removeprefix('--').upper().replace('-', '_')}"
    return click.option(name, envvar=more.pop("envvar", variable), show_envvar=True, help=help_, **more)


@click.command(short_help="Answer over HTTP.")
@_option("--bind", "Address and port; port 0 takes a free one [default: 127.0.0.1:8000].", metavar="HOST:PORT")
@_option("--index", "Index to serve; repeatable [default: the newest].", multiple=True, metavar="NAME")
@_option(
    "--model", "Model to serve; repeatable [default: the newest, and the newest ranker].", multiple=True, metavar="NAME"
)
@_option(
    "--pin",
    "Index or model that stays when it is replaced or a newer one comes; repeatable.",
    multiple=True,
    metavar="NAME",
)
@_option("--watch", "Seconds between two looks for new artifacts; 0 for none [default: 1].", type=click.FloatRange(0))
@_option("--workers", "Number of processes [default: 1].", type=click.IntRange(1))
@_option(
    "--api-key",
    "Key that requests must send; needed for any address but this machine's own.",
    metavar="KEY",
    envvar="EMBEDREC_API_KEY",
)
@_option(
    "--allow-host",
    "Further name by which a service without a key may be asked, as behind a proxy; repeatable.",
    multiple=True,
    metavar="NAME",
)
@_option(
    "--cors",
    "Origin of web pages that may ask, such as https://shop.example; repeatable.",
    multiple=True,
    metavar="ORIGIN",
)
@_option("--max-body", "Bytes of a request body [default: 1048576].", type=click.IntRange(1))
@_option(
    "--max-concurrent",
    "Requests that a process answers at a time; it refuses more [default: 256].",
    type=click.IntRange(1),
)
@_option(
    "--timeout",
    "Seconds to read a request, and to compute an answer [default: 10].",
    type=click.FloatRange(0, min_open=True),
)
@_option(
    "--device",
    "Device of the search of similar items; cuda uses a GPU [default: cpu].",
    type=click.Choice(["cpu", "cuda"]),
)
@_option(
    "--sessions",
    "Live sessions: a SQLite file, or a Redis URL [default: serving/sessions.sqlite in the workspace].",
    metavar="PLACE",
)
@_option(
    "--session-ttl",
    "Seconds that a live session is kept after its last event [default: 3600].",
    type=click.FloatRange(0, min_open=True),
)
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="TOML file with a table [serve].")
@_option(
    "--log-json",
    "Write notes, and a line for every request, to stderr as JSON.",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=set_log_json,
)
@workspace_option
def serve(config: Path | None, workspace: Workspace, **given: Any) -> None:
    """Answer over HTTP: similar items, next items, past sessions.

    Serves the newest index, model and ranker of the workspace, until SIGTERM or Ctrl-C. Requests that have begun are
    answered first. Settings: defaults < --config < environment < options.

    \b
    embedrec serve
    embedrec serve --index word2vec-auto --model vsknn --workers 2
    curl "http://127.0.0.1:8000/v1/similar/The%20Beatles?k=5"
    curl --json '{"items": ["Daft Punk", "Justice"]}' http://127.0.0.1:8000/v1/recommend

    /docs lists the routes. Any address but this machine's own needs a key in EMBEDREC_API_KEY.
    """  # fmt: skip
    from embedrec.config import build, read_toml, table
    from embedrec.errors import need_package
    from embedrec.serving import server
    from embedrec.serving.session_store import open_store
    from embedrec.serving.settings import ServeSettings

    values = {name: value for name, value in given.items() if value not in (None, ())}
    if logs_json():
        values["log_json"] = True
    written = {} if config is None else table(read_toml(config), "serve")
    need_package("uvicorn", "the service")
    settings = build(ServeSettings, {**written, **values}, source="[serve]")
    if settings.sessions:
        open_store(settings.sessions, Path(), settings.session_ttl).check()
    with server.bind(settings) as bound, TemporaryDirectory(prefix="embedrec-serve-") as shared:
        note(f"serving {workspace.root.absolute()} at {server.url_of(bound)}")
        server.serve(Worker(workspace, settings, Path(shared)), bound, settings)


@dataclass(frozen=True)
class Worker:
    """Makes the application of one process.

    shared  a folder for what the processes share
    """

    workspace: Workspace
    settings: ServeSettings
    shared: Path

    def __call__(self) -> Application:
        from embedrec.serving.app import Application
        from embedrec.serving.service import Service

        return Application(Service(self.workspace, self.settings, self.report, self.shared))

    def report(self, event: str, **fields: Any) -> None:
        """Write an event of the service to stderr: a line of text, or of JSON."""
        if self.settings.log_json:
            write_event("serve", event, **fields)
        elif event == "serving":
            note(f"serving {', '.join(fields['names'])}")
        elif event == "refused":
            note(f"{fields['kind']} {fields['name']} is not served: {fields['reason']}")
        else:
            note(fields["message"])
