"""`embedrec run`, killed by SIGKILL at random moments and restarted, against an uninterrupted run.

usage: python scripts/bench/study.py [--kills 200] [--data ml-100k] [--seed 0]

The experiment prepares MovieLens, trains three models (one from a grid, one with checkpoints), builds an index,
compares, exports and writes a report. Every kill is within the duration of the run. After three of four kills, another
run is killed; after the others, a run completes: every file must equal that of the uninterrupted run, except for the
report, which contains run times.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import tempfile
from pathlib import Path
from time import perf_counter, sleep

from processes import started

STUDY = """\
title = "Kills"
[prepare]
source = "movielens"
paths = ["{data}"]
[split]
rule = "last-item"
[ask]
at = [20]
[[train]]
model = "popular"
[[train]]
model = "word2vec"
set = {epochs = 2}
grid = {window = [3, 5]}
[[train]]
model = "two-tower"
set = {epochs = 2, dim = 16, patience = "none"}
[[index]]
model = "word2vec"
type = "ivf"
[compare]
[[export]]
file = "similar.txt"
model = "word2vec"
[report]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--data", type=Path, default=Path.home() / ".cache" / "embedrec" / "ml-100k")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kill(Path(folder), given.data, given.kills, random.Random(given.seed))


def kill(folder: Path, data: Path, kills: int, rng: random.Random) -> None:
    config = folder / "study.toml"
    config.write_text(STUDY)

    def command(name: str) -> list[str]:
        return ["run", str(config), "--data", str(data), "--threads", "1", "--workspace", str(folder / name)]

    ended(started(command("first")))  # whatever is compiled and loaded once is now
    began = perf_counter()
    assert ended(started(command("whole"))) == 0
    seconds = perf_counter() - began
    expected = outcome(config, data, folder / "whole")
    done = goes_on = 0
    while done < kills:
        process = started(command("killed"))
        sleep(rng.random() * seconds)
        os.kill(process, signal.SIGKILL)
        done += os.WIFSIGNALED(ended(process))
        if rng.random() < 0.25:
            began = perf_counter()
            assert ended(started(command("killed"))) == 0
            goes_on += perf_counter() - began < 0.9 * seconds
            found = outcome(config, data, folder / "killed")
            assert found == expected, f"{[step for step in expected if found[step] != expected[step]]} differ"
            shutil.rmtree(folder / "killed")
    print(f"{done} runs ended by SIGKILL, {goes_on} finished in less than nine tenths of {seconds:.1f} s: equal bytes")


def outcome(config: Path, data: Path, workspace: Path) -> dict[str, str | None]:
    """Digests of the outputs of all steps; of the report, which contains run times, only its existence."""
    from embedrec import Workspace
    from embedrec.experiments.parse import read_experiment
    from embedrec.experiments.runner import step_context
    from embedrec.experiments.step import identity

    experiment = read_experiment(config, data=str(data))
    context = step_context(experiment, Workspace(workspace))
    found = {step.id: identity(step.path(context)) for step in experiment.steps}
    assert all(found.values()), found
    return {name: said for name, said in found.items() if name != "report"}


def ended(process: int) -> int:
    """Wait for a process; its status."""
    return os.waitpid(process, 0)[1]


if __name__ == "__main__":
    main()
