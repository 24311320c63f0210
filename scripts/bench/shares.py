"""Trainings whose processes each read a share of the sessions, against one process: quality, and seconds of training.

usage: python scripts/bench/shares.py [DATA] [--data-set nowplaying|diginetica] [--models word2vec] [--processes 1 2 4]
                                      [--set key=value]

The next item after every test prefix, all items ranked, with default settings. Several processes are those of
`torchrun --nproc-per-node N --no-python embedrec train MODEL --memory 8G`; all have one thread and the same machine, so
that seconds say nothing of several machines. [default: ../shared/data beside the repository]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--no-python"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--data-set", choices=["nowplaying", "diginetica"], default="nowplaying")
    parser.add_argument("--models", nargs="+", default=["word2vec"])
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--set", action="append", default=[], dest="pairs")
    given = parser.parse_args()
    source = given.data / given.data_set
    print(
        "| model | processes | recall@20 | low | high | mrr@20 | seconds |\n|---|---:|---:|---:|---:|---:|---:|",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as workspace:
        test = ("--test", source / "test_prefixes.parquet")
        embedrec(workspace, "prepare", "sessions", source / "train_sessions.parquet", *test)
        pairs = [word for pair in given.pairs for word in ("--set", pair)]
        for model in given.models:
            for count in given.processes:
                start = [] if count == 1 else [*TORCHRUN, "--nproc-per-node", str(count)]
                memory = () if count == 1 else ("--memory", "8G")
                name = f"{model}-{count}"
                trained = embedrec(
                    workspace, "train", model, *pairs, *memory, "--name", name, "--threads", 1, "--json", start=start
                )
                found = json.loads(embedrec(workspace, "evaluate", name, "--json", "--threads", 1).splitlines()[-1])
                cells = (found[key] for key in ("recall@20", "recall@20_low", "recall@20_high", "mrr@20"))
                seconds = json.loads(trained.splitlines()[-1])["seconds"]
                print(f"| {model} | {count} | {' | '.join(f'{c:.4f}' for c in cells)} | {seconds:.0f} |", flush=True)


def embedrec(workspace: str, *arguments: object, start: list[str] | None = None) -> str:
    """The stdout of a command."""
    command = [*(start or []), sys.executable, "-m", "embedrec", *map(str, arguments), "--workspace", workspace]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env).stdout


if __name__ == "__main__":
    main()
