"""Next-item evaluation on all given test prefixes: seconds after loading, and metrics.

usage: python scripts/bench/evaluate.py [DATA] [--data-sets diginetica nowplaying] [--models popular ar sr word2vec]

Prepares DATA/NAME/train_sessions.parquet with --test DATA/NAME/test_prefixes.parquet, trains every model on the
training part, and evaluates the next item after every prefix: metrics at 1, 5, 10 and 20 with bootstrap intervals, all
items ranked. `seconds` is the time of the evaluation with its intervals; the training time has its own column.
[default: ../shared/data beside the repository]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHOWN = (
    "recall@20",
    "recall@20_low",
    "recall@20_high",
    "mrr@20",
    "mrr@20_low",
    "mrr@20_high",
    "train_seconds",
    "seconds",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--data-sets", nargs="+", default=["diginetica", "nowplaying"])
    parser.add_argument("--models", nargs="+", default=["popular", "ar", "sr", "word2vec"])
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in given.data_sets:
            workspace, source = f"{folder}/{name}", given.data / name
            test = source / "test_prefixes.parquet"
            embedrec(workspace, "prepare", "sessions", source / "train_sessions.parquet", "--test", test)
            for model in given.models:
                found = json.loads(embedrec(workspace, "evaluate", model, "--json", "--threads", given.threads))
                print(f"{name} {model}: {found['questions']:,} prefixes, {found['catalogue']:,} items")
                print("   " + "  ".join(f"{key} {found[key]:.4f}" for key in SHOWN), flush=True)


def embedrec(workspace: str, *arguments: object) -> str:
    """The stdout of a command."""
    command = [sys.executable, "-m", "embedrec", *map(str, arguments), "--workspace", workspace]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
