"""Several models retrieve, one ranks: quality of `fusion` and `ranker` beside their parts and the bars, and speed.

usage: python scripts/bench/ranking.py [DATA] [--sets NAME...] [--models NAME...] [--beside NAME...] [--only PART...]

diginetica, nowplaying  the next item after every test prefix
movielens               MovieLens 100K, the last film of everyone
mssd                    a random half of a sample of the Music Streaming Sessions Dataset, the next track; unknown
                        targets are left out
mpd                     similar artists, also by `fusion` with of=similar: nDCG@20 of co-occurrence in held-out
                        playlists, and shared genres of the first 10; the last 671 of 5,671 playlists are held out,
                        artists in fewer than 5 are removed

quality  Recall@20 and MRR@20 of the whole ranking with default settings, on the test part, by `embedrec compare`; a bar
         that is met has a +, another a −
speed    of each of --models on Diginetica: one history at a time through `recommend`, median and 95th percentile in ms;
         all at once with --threads, histories a second; and seconds of a training whose parts are there already
[default: ../shared/data beside the repository; MovieLens is downloaded, or read from --movielens FOLDER]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.datasets.movielens_100k import movielens_100k, user_cache
from embedrec.models import MODELS
from embedrec.models.serialization import load_model
from embedrec.readers import reader
from embedrec.splitting.test_cases import next_items
from embedrec.storage import artifacts
from embedrec.tabular.read_settings import ReadSettings

ROOT = Path(__file__).resolve().parents[2]
COMPOSITES = [name for name in ("fusion", "ranker") if name in MODELS]
SPEED_BARS = {"p50 ms": 3.0, "p95 ms": 5.0, "histories/s": 2000.0, "training s": 180.0}
_WARM_UP, _SINGLE, _BATCH = 50, 2000, 20_000  # histories


@dataclass(frozen=True)
class DataSet:
    """How a data set is read and evaluated, and the bar of each metric.

    prepare   words after `embedrec prepare`; {data} is the folder of the data sets, {movielens} that of MovieLens
    evaluate  options of `embedrec compare`
    bars      metric → least value for a ranked list
    beside    models that are compared with it
    train     words after `embedrec train` of one more model, the last of which is its name
    """

    prepare: tuple[str, ...]
    evaluate: tuple[str, ...]
    bars: dict[str, float]
    beside: tuple[str, ...] = ("sasrec", "vstan", "mf", "sr", "cooccurrence", "word2vec")
    train: tuple[str, ...] = ()


def _clicks(name: str, recall: float, mrr: float) -> DataSet:
    folder = f"{{data}}/{name}"
    prepare = ("sessions", f"{folder}/train_sessions.parquet", "--test", f"{folder}/test_prefixes.parquet")
    return DataSet(prepare, (), {"recall@20": recall, "mrr@20": mrr})


SETS = {
    "diginetica": _clicks("diginetica", 0.575, 0.205),
    "nowplaying": _clicks("nowplaying", 0.255, 0.100),
    "movielens": DataSet(
        ("movielens", "{movielens}"), ("--split", "last-item"), {"recall@20": 0.345, "mrr@20": 0.105}
    ),
    "mssd": DataSet(
        ("mssd", "{data}/mssd", "--min-length", "2"),
        ("--split", "random:share=.5", "--protocol", "next", "--unknown", "drop"),
        {"recall@20": 0.76, "mrr@20": 0.55},
    ),
    "mpd": DataSet(
        ("mpd", "{data}/mpd/train", "{data}/mpd/test", "--min-count", "5"),
        ("--split", "tail:share=.1183", "--protocol", "similar", "--labels", "{data}/artist_genres.parquet"),
        {"ndcg@20": 0.33, "label_overlap@10": 0.30},
        ("cooccurrence", "svd", "mf", "word2vec"),
        ("fusion", "--force", "--set", "of=similar", "--name", "similar-fusion"),
    ),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--models", nargs="+", default=COMPOSITES, help="[default: %(default)s]")
    parser.add_argument("--beside", nargs="*", help="models that are compared with them [default: by data set]")
    parser.add_argument("--only", nargs="+", choices=["quality", "speed"], default=["quality", "speed"])
    parser.add_argument("--movielens", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in given.sets if "quality" in given.only else ():
            quality(given, name, f"{folder}/{name}")
        if "speed" in given.only:
            for model in given.models:
                speed(given, model, f"{folder}/diginetica")


def quality(given: argparse.Namespace, name: str, workspace: str) -> None:
    """Print one row a model, best first."""
    data_set = SETS[name]
    beside = data_set.beside if given.beside is None else given.beside
    prepare(given, name, workspace)
    if data_set.train:
        embedrec(workspace, "train", *data_set.train, "--threads", given.threads)
    options = [word.format(data=given.data) for word in data_set.evaluate]
    models = (*given.models, *data_set.train[-1:], *beside)
    command = ("compare", *models, *options, "--at", "10,20", "--metrics", ",".join(data_set.bars))
    lines = embedrec(workspace, *command, "--threads", given.threads, "--json").splitlines()
    print(f"{name:<12}" + "".join(f"{metric} (bar {bar})".rjust(30) for metric, bar in data_set.bars.items()))
    for row in map(json.loads, lines):
        cells = (f"{row[metric]:.4f} {'+' if row[metric] >= bar else '−'}" for metric, bar in data_set.bars.items())
        print(f"  {row['model']:<10}" + "".join(cell.rjust(30) for cell in cells), flush=True)


def speed(given: argparse.Namespace, name: str, workspace: str) -> None:
    """Print latency, throughput and training time of a model on Diginetica."""
    prepare(given, "diginetica", workspace)
    train = ("train", name, "--threads", given.threads, "--force")
    embedrec(workspace, *train)
    started = perf_counter()
    embedrec(workspace, *train)
    seconds = perf_counter() - started
    model: Any = load_model(artifacts.read(newest(Path(workspace) / "models")))
    test = reader("sessions")().read_test(given.data / "diginetica" / "test_prefixes.parquet", ReadSettings())
    cases = next_items(test).reindex(model.vocab)
    drawn = np.random.default_rng(0).permutation(len(cases))[:_BATCH]
    histories = cases.histories(0, len(cases)).take(drawn)
    taken = []
    for q in range(min(_SINGLE, len(histories))):
        items = model.vocab.ids[histories.items[histories.offsets[q] : histories.offsets[q + 1]]].tolist()
        started = perf_counter()
        model.recommend(Sessions.of_lists([items], model.vocab), 20)
        taken.append(1000 * (perf_counter() - started))
    p50, p95 = np.quantile(taken[_WARM_UP:], [0.5, 0.95])
    several = model.with_threads(given.threads)
    started = perf_counter()
    several.recommend(histories, 20)
    rate = len(histories) / (perf_counter() - started)
    figures = {"p50 ms": p50, "p95 ms": p95, "histories/s": rate, "training s": seconds}
    print(f"{name} on Diginetica, {given.threads} threads for batches and training")
    for key, value in figures.items():
        bar = SPEED_BARS[key]
        met = value >= bar if key == "histories/s" else value <= bar
        print(f"  {key:<12}{value:>12,.1f}  {'+' if met else '−'} (bar {bar:,.0f})", flush=True)


def prepare(given: argparse.Namespace, name: str, workspace: str) -> None:
    """Read a data set into its workspace, once."""
    if Path(workspace).exists():
        return
    words = SETS[name].prepare
    folders = {"data": given.data}
    if any("{movielens}" in word for word in words):
        folders["movielens"] = given.movielens or movielens_100k(user_cache())
    embedrec(workspace, "prepare", *(word.format(**folders) for word in words))


def newest(folder: Path) -> Path:
    """The artifact that was written last."""
    return max((path.parent for path in folder.glob("*/manifest.json")), key=lambda path: path.stat().st_mtime)


def embedrec(workspace: str, *arguments: object) -> str:
    """The stdout of a command."""
    command = [sys.executable, "-m", "embedrec", *map(str, arguments), "--workspace", workspace]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
