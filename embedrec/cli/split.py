"""`embedrec split`: split sessions into a training part and a held-out part, stored together."""

from __future__ import annotations

import click

from embedrec.cli.shared.artifacts import find_sessions, note_outdated
from embedrec.cli.shared.engine_options import engine_options, spark_settings
from embedrec.cli.shared.options import emit, json_option, log_option, note, seed_option, workspace_option
from embedrec.storage.workspace import Workspace


@click.command(short_help="Hold out a part of the sessions.")
@click.argument("rule")
@click.option("--sessions", metavar="NAME", help="Sessions to split [default: the latest].")
@click.option("--name", metavar="NAME", help="Name of the result [default: SESSIONS-RULE].")
@seed_option
@engine_options
@log_option
@json_option
@workspace_option
def split(
    rule: str,
    sessions: str | None,
    name: str | None,
    seed: int,
    engine: str,
    master: str | None,
    spark_conf: tuple[str, ...],
    as_json: bool,
    workspace: Workspace,
) -> None:
    """Hold out a part of the latest sessions and write both parts: `train` uses the training part, `evaluate` the
    held-out part.

    RULE is one of these, with settings after a colon:

    \b
    time:share=.1        sessions that end in the last tenth of all events; also at=2024-05-31 or days=7
    warm-time:share=.2   events of the last fifth, of users and items known from training; also min_rating=4
    last-item            the last item of every session
    last-session         the last session of every user
    user-share:share=.8  the last fifth of the sessions of every user
    random:share=.1      a random tenth of the sessions
    tail:share=.1        the last tenth of the sessions, in file order

    \b
    embedrec split time:days=7
    embedrec split last-item --sessions movielens
    embedrec split random --engine spark --master spark://host:7077
    """
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.splitting import rules
    from embedrec.workflows.split import write_split

    spark = spark_settings(engine, master, spark_conf)
    source = find_sessions(workspace, sessions)
    chosen = rules.rule_of(rule)
    folder = workspace.folder("sessions", name or f"{source.name}-{chosen.name}")
    with Progress("split"):
        if spark is None:
            done, checked = write_split(source, folder, chosen, seed=seed)
        else:
            from embedrec.workflows.spark_split import split_on_spark

            done, checked = split_on_spark(source, folder, chosen, spark, seed=seed)
    for line in checked:
        note(f"leak check: {line}")
    note(f"wrote sessions {done.name} ({done.folder})")
    note_outdated(workspace, done)
    keys = ("sessions", "items", "events", "test_sessions", "test_events")
    emit([{key: done.about[key] for key in keys}], as_json)
