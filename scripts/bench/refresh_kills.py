"""Kills of `embedrec refresh` at random moments: a workspace must hold the versions of yesterday or of today, whole.

usage: python scripts/bench/refresh_kills.py [--kills 200] [--seed 0]

A small shop has sessions, word2vec with an index, and co-occurrence counts. A refresh runs in a process of its own and
gets SIGKILL: every second one after a random part of the time that a whole one takes, the others within .3 s after the
switch has begun. Then all artifacts are read and their checksums verified; the same refresh is called again, and must
end with the versions of an uninterrupted one. Prints, as JSON, how often a kill came before the switch, during it (the
next reader completed it) and after it, how often the second call found finished artifacts, and failures.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from embedrec.config import build
from embedrec.data.filters import Filters
from embedrec.datasets.synthetic import make_world, write_shop
from embedrec.models.cooccurrence.cooccurrence import Cooccurrence
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.readers import BadRows, reader
from embedrec.storage.artifacts import JOURNAL, VERSIONS
from embedrec.storage.workspace import Workspace
from embedrec.tabular.read_settings import ReadSettings
from embedrec.workflows.build_index import IndexSettings, build_index_artifact
from embedrec.workflows.prepare import prepare_sessions
from embedrec.workflows.refresh.run import refresh
from embedrec.workflows.refresh.settings import RefreshSettings
from embedrec.workflows.train import train_model

KINDS = ("sessions", "model", "index")
_LOOK = os.WEXITED | os.WNOHANG | os.WNOWAIT  # whether a process has ended, without taking its exit code
SETTINGS = RefreshSettings(gate=False, validate=False)


def shop(folder: Path) -> tuple[Workspace, Path]:
    """A workspace of the first days of a shop, and the file of the last one."""
    file, _ = write_shop(make_world(seed=0, genres=4, artists_per_genre=8, playlists=400), folder / "shop")
    header, *lines = file.read_text().splitlines(keepends=True)
    last = max(line.split(",")[2][:10] for line in lines)
    new, old = ([line for line in lines if (line.split(",")[2][:10] == last) is wanted] for wanted in (True, False))
    (folder / "old.csv").write_text(header + "".join(old))
    (folder / "new.csv").write_text(header + "".join(new))
    workspace = Workspace(folder / "start")
    read = build(reader("table"), {"session": "visit", "item": "sku", "time": "time"}, source="the bench")
    settings = ReadSettings(BadRows("fail"))
    place = workspace.folder("sessions", "clicks")
    sessions = prepare_sessions("table", read, [str(folder / "old.csv")], place, Filters(), settings)
    for recipe in (Word2Vec(dim=8, epochs=2), Cooccurrence()):
        train_model(recipe, sessions, workspace.folder("model", recipe.name))
    model = workspace.find("model", "word2vec")
    build_index_artifact(model, workspace.folder("index", "word2vec-ivf"), IndexSettings("IVF4,Flat"))
    return workspace, folder / "new.csv"


def in_process(work: Callable[[], object]) -> int:
    """The id of a process that does the work; FAISS and numba are started in it, not in this one."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


def wait_for(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def contents(workspace: Workspace) -> dict[str, str]:
    """The fingerprint of every artifact, whose files are all read and verified. Raises ArtifactError for damage."""
    found = {}
    for kind in KINDS:
        for error in workspace.unreadable(kind).values():
            raise error
        for artifact in workspace.artifacts(kind):
            artifact.check()
            found[f"{kind} {artifact.name}"] = artifact.fingerprint
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with TemporaryDirectory() as name:
        folder = Path(name)
        if wait_for(in_process(lambda: shop(folder))):
            sys.exit("the shop cannot be made")
        print(json.dumps(kill_often(folder, arguments.kills, rng)))


def kill_often(folder: Path, kills: int, rng: random.Random) -> dict[str, object]:
    """Kill refreshes at random moments; the numbers of the outcomes."""
    start, night = Workspace(folder / "start"), folder / "new.csv"
    old = contents(start)
    durations = []
    for number in range(3):
        whole = Workspace(folder / f"whole{number}")
        shutil.copytree(start.root, whole.root)
        began = time.perf_counter()
        if wait_for(in_process(lambda whole=whole: refresh(whole, [night], SETTINGS))):  # type: ignore[misc]
            sys.exit("a refresh that is not killed fails")
        durations.append(time.perf_counter() - began)
    new = contents(whole)
    seconds = min(durations)
    result = dict.fromkeys(("before", "during", "after", "resumed", "failures"), 0)
    for number in range(kills):
        workspace = Workspace(folder / f"kill{number}")
        shutil.copytree(start.root, workspace.root)
        pid = in_process(lambda workspace=workspace: refresh(workspace, [night], SETTINGS))  # type: ignore[misc]
        if number % 2:
            while not (workspace.root / VERSIONS).exists() and os.waitid(os.P_PID, pid, _LOOK) is None:
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.3))
        else:
            time.sleep(rng.uniform(0, seconds))
        os.kill(pid, signal.SIGKILL)
        wait_for(pid)
        journal = os.path.lexists(workspace.root / VERSIONS / JOURNAL)
        resumed = any((workspace.root / ".refresh" / "clicks").glob("[!.]*/[!.]*"))
        state = contents(workspace)
        failed = state not in (old, new)
        again = wait_for(in_process(lambda workspace=workspace: refresh(workspace, [night], SETTINGS)))  # type: ignore[misc]
        failed = failed or bool(again) or contents(workspace) != new
        result["during" if journal else "after" if state == new else "before"] += 1
        result["resumed"] += resumed and state == old
        result["failures"] += failed
        if failed:
            print(f"failure: kill {number}, exit code {again}", file=sys.stderr)
        else:
            shutil.rmtree(workspace.root)
    return {"kills": kills, **result, "seconds_of_a_refresh": round(seconds, 2)}


if __name__ == "__main__":
    main()
