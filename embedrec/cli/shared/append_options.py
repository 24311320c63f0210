"""`embedrec prepare SOURCE PATH... --append NAME`: the step, and the check of options against the first `prepare`."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from embedrec.cli.shared.artifacts import note_outdated
from embedrec.cli.shared.options import emit, note
from embedrec.errors import SettingsError
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace

_KEYS = {"names": "name"}  # options whose settings have other names
_FREE = ("paths", "append", "keep_days", "memory", "threads", "as_json", "workspace", "test", "name")


def append_from(source: str, settings: dict[str, Any], name: str, given: dict[str, Any]) -> None:
    """Append files to the sessions `name`; `given` are the options of `embedrec prepare SOURCE`.

    settings  of the reader

    Raises SettingsError for an option that differs from the first `prepare`.
    """
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.data.joined import segments
    from embedrec.readers import BadRows
    from embedrec.storage.memory_budget import budget_of
    from embedrec.tabular.read_settings import ReadSettings
    from embedrec.workflows.append import TABLES, append_sessions, check_appendable
    from embedrec.workflows.versions import keep_source

    workspace: Workspace = given["workspace"]
    artifact = workspace.find("sessions", name)
    check_appendable(artifact)
    _check_options(source, settings, artifact, given, TABLES)
    tables = {key: settings[key] for key in TABLES if settings.get(key)}
    version = keep_source(workspace, artifact, command="prepare --append")
    if version is not None:
        note(f"keeping sessions {name} as version {version}, as others were made from it; `embedrec gc` frees versions")
    bad_rows = BadRows()
    with Progress("prepare") as report:
        done = append_sessions(
            artifact,
            given["paths"],
            artifact.folder,
            ReadSettings(bad_rows, given["threads"], budget_of(given["memory"], artifact.folder.parent), report),
            keep_days=given["keep_days"],
            tables=tables,
        )
    for line in (*bad_rows.lines(), *bad_rows.notes):
        note(line)
    new = segments(done)
    if new:
        note(f"appended to sessions {done.name} ({done.folder}), to be joined and filtered when they are first read")
        emit([{"appended": new[-1]["events"], "segments": len(new)}], given["as_json"])
    else:
        note(f"appended to sessions {done.name} ({done.folder}), joined and filtered")
        emit([{name: done.about[name] for name in ("sessions", "items", "events")}], given["as_json"])
    note_outdated(workspace, done)


def _check_options(
    source: str, settings: dict[str, Any], artifact: Artifact, given: dict[str, Any], tables: tuple[str, ...]
) -> None:
    """Raises SettingsError, in one sentence, for an option whose value the first `prepare` did not have."""
    about = artifact.about
    if about["source"] != source:
        made = "a data frame" if about["source"] == "frame" else f"`embedrec prepare {about['source']}`"
        raise SettingsError(
            f"sessions {artifact.name} were made of {made}, and events are appended as they were first read, not by "
            f"`embedrec prepare {source}`"
        )
    rows = {"on_bad_row": about.get("log", {}).get("on_bad_row", "fail")}
    kept = {**about["reader"], **about["filters"], **about["regrouped"], **rows}
    context = click.get_current_context()
    for parameter in context.command.get_params(context):
        option = parameter.name or ""
        key = _KEYS.get(option, option)
        if option in _FREE or key in tables or key not in kept:
            continue
        if context.get_parameter_source(option) is not ParameterSource.COMMANDLINE:
            continue
        value = settings[key] if key in settings else given[key]
        if _plain(value) != _plain(kept[key]):
            flag = parameter.opts[0]
            had = f"was {flag} {_text(kept[key])}" if kept[key] not in (None, "", (), [], {}) else "was not given"
            raise SettingsError(
                f"{flag} {_text(value)} differs from the first prepare of sessions {artifact.name}, where it {had}; an "
                f"append keeps these settings, so leave {flag} out, or prepare all files once again"
            )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | list) else value


def _text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
