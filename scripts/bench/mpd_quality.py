"""Quality of the similarity file of the playlists with default settings, on held-out playlists.

usage: python scripts/bench/mpd_quality.py [DATA] [--model word2vec] [--set KEY=VALUE]... [--seeds 0 1 2] [--threads 2]

Trains on DATA/mpd/train; DATA/../tools/similar_quality.py measures on DATA/mpd/test and DATA/artist_genres.parquet.
[default: ../shared/data beside the repository]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--model", default="word2vec")
    parser.add_argument("--set", dest="pairs", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    data: Path = given.data
    sets = [word for pair in given.pairs for word in ("--set", pair)]
    with tempfile.TemporaryDirectory() as folder:

        def embedrec(*arguments: object) -> float:
            started = perf_counter()
            command = [sys.executable, "-m", "embedrec", *map(str, arguments), "--workspace", folder]
            subprocess.run(command, check=True, capture_output=True)
            return perf_counter() - started

        similar = f"{folder}/similar.txt"
        print(f"prepare {embedrec('prepare', 'mpd', data / 'mpd' / 'train'):.1f} s")
        for seed in given.seeds:
            threads = ("--threads", given.threads)
            train = embedrec("train", given.model, "--seed", seed, *threads, *sets)
            index = embedrec("build-index", "--type", "ivf", *threads)
            export = embedrec("export", similar, "-n", 20, *threads)
            tool = [sys.executable, data.parent / "tools" / "similar_quality.py", similar]
            tool += [data / "mpd" / "train", data / "mpd" / "test", data / "artist_genres.parquet"]
            said = subprocess.run(tool, check=True, capture_output=True, text=True).stdout
            print(f"seed {seed}: train {train:.1f} s, build-index {index:.1f} s, export {export:.1f} s")
            print(f"        {json.dumps(json.loads(said))}", flush=True)


if __name__ == "__main__":
    main()
