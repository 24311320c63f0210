"""Comparison of all models with default settings on three data sets, as the Markdown tables of RESULTS.md.

usage: python scripts/bench/compare.py [DATA] [--data-sets diginetica nowplaying mpd] [--models NAME...] [--threads 2]

diginetica, nowplaying  the next item after every test prefix, all items ranked
mpd                     similar artists: co-occurrence in held-out playlists, and shared genres; the last 671 of 5,671
                        playlists are held out, artists in fewer than 5 playlists are removed

Each table is the output of one `embedrec compare --markdown`; the command is printed above it.
[default: ../shared/data beside the repository]
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from embedrec.models import MODELS

ROOT = Path(__file__).resolve().parents[2]
NEXT = [name for name in MODELS if name != "random"]
SIMILAR = ["popular", "word2vec", "svd", "mf", "cooccurrence", "two-tower", "neural-cf", "projection"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--data-sets", nargs="+", default=["diginetica", "nowplaying", "mpd"])
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in given.data_sets:
            source, workspace = given.data / name, f"{folder}/{name}"
            if name == "mpd":
                embedrec(workspace, "prepare", "mpd", source / "train", source / "test", "--min-count", 5)
                labels = given.data / "artist_genres.parquet"
                terms = ("--split", "tail:share=.1183", "--protocol", "similar", "--labels", labels, "--at", "10,20")
                metrics = ("--metrics", "precision@20,ndcg@20,label_overlap@10,coverage@20")
                models = given.models or SIMILAR
            else:
                test = ("--test", source / "test_prefixes.parquet")
                embedrec(workspace, "prepare", "sessions", source / "train_sessions.parquet", *test)
                terms, metrics, models = (), (), given.models or NEXT
            command = ("compare", *models, *terms, *metrics, "--threads", given.threads, "--markdown")
            shown = shlex.join(str(word.name if isinstance(word, Path) else word) for word in command)
            print(f"\n## {name}\n\n`embedrec {shown}`\n", flush=True)
            print(embedrec(workspace, *command), flush=True)


def embedrec(workspace: str, *arguments: object) -> str:
    """The stdout of a command."""
    command = [sys.executable, "-m", "embedrec", *map(str, arguments), "--workspace", workspace]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
