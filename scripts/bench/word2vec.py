"""word2vec against gensim: events per second and quality with equal settings, in alternating runs.

usage: python scripts/bench/word2vec.py [DATA] [--repeats 3] [--threads 2]

DATA contains `nowplaying/`, `mpd/` and `artist_genres.parquet`; DATA/../tools/similar_quality.py measures similar
artists. [default: ../shared/data beside the repository]

Events are items of sessions × epochs; seconds are those of training, without vocabulary and compilation. Both inputs of
gensim are measured (sentences from Python, and `corpus_file`), and the faster one counts. Figures are medians of the
repeats.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow.parquet as pq
from gensim.models import Word2Vec as Gensim

from embedrec.data.sessions import Sessions
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import unit

ROOT = Path(__file__).resolve().parents[2]
NOWPLAYING = Word2Vec(
    dim=64,
    window=5,
    shrink_windows=True,
    epochs=10,
    negative=5,
    ns_exponent=0.75,
    sample=0.0,
    alpha=0.025,
    decay=1.0,
    min_count=1,
)
PLAYLISTS = Word2Vec(
    dim=64,
    window=0,
    shrink_windows=False,
    epochs=20,
    negative=5,
    ns_exponent=-0.5,
    sample=1e-4,
    alpha=0.025,
    min_count=1,
)


@dataclass(frozen=True)
class Run:
    """The result of a training: input and output vectors (n, d), and seconds of vocabulary and of training."""

    x: np.ndarray
    y: np.ndarray
    vocabulary: float
    training: float


def ours(recipe: Word2Vec, sessions: Sessions, threads: int, seed: int) -> Run:
    seconds: list[float] = []

    def report(event: str, **numbers: float) -> None:
        if event == "epoch":
            seconds.append(numbers["seconds"])

    started = perf_counter()
    model = recipe.fit(sessions, seed=seed, threads=threads, report=report)
    training = sum(seconds)
    return Run(model.arrays["input"], model.arrays["output"], perf_counter() - started - training, training)


def gensim(recipe: Word2Vec, sessions: Sessions, threads: int, seed: int, *, corpus_file: bool) -> Run:
    sentences = [[str(i) for i in sessions[s].tolist()] for s in range(len(sessions))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "corpus.txt")
        path.write_text("".join(" ".join(s) + "\n" for s in sentences))
        source = {"corpus_file": str(path)} if corpus_file else {"corpus_iterable": sentences}
        model = Gensim(
            vector_size=recipe.dim, window=recipe.window or 10_000, shrink_windows=recipe.shrink_windows, sg=1,
            negative=recipe.negative, ns_exponent=recipe.ns_exponent, sample=recipe.sample, alpha=recipe.alpha,
            min_alpha=recipe.min_alpha, min_count=1, workers=threads, seed=seed,
        )  # fmt: skip
        started = perf_counter()
        model.build_vocab(**source)
        built = perf_counter()
        words = {"total_words": model.corpus_total_words} if corpus_file else {}
        model.train(**source, total_examples=model.corpus_count, epochs=recipe.epochs, **words)
        done = perf_counter()
    at = np.array([int(word) for word in model.wv.index_to_key])
    x, y = np.zeros((2, len(sessions.vocab), recipe.dim), dtype=np.float32)
    x[at], y[at] = model.wv.vectors, model.syn1neg
    return Run(x, y, built - started, done - built)


def nowplaying(data: Path) -> tuple[Sessions, Callable[[np.ndarray], float]]:
    """The training sessions, and Recall@20 of the next item on 10,000 test prefixes by the mean of unit vectors."""
    table = pq.read_table(data / "nowplaying/train_sessions.parquet")
    session, item = table["session"].to_numpy(), table["item"].to_numpy()
    cuts = np.flatnonzero(np.diff(session)) + 1
    sessions = Sessions.of_lists([part.tolist() for part in np.split(item, cuts)])
    test = pq.read_table(data / "nowplaying/test_prefixes.parquet")
    chosen = np.random.default_rng(0).permutation(len(test))[:10_000]
    histories = Sessions.of_lists(test["prefix"].take(chosen).to_pylist(), sessions.vocab).matrix()
    target = sessions.vocab.rows(test["target"].to_numpy()[chosen])

    def recall(vectors: np.ndarray) -> float:
        items, hits = unit(vectors), 0
        for at in range(0, len(target), 1000):
            scores = (histories[at : at + 1000] @ items) @ items.T  # (1000, n)
            wanted = target[at : at + 1000]
            better = (scores > scores[np.arange(len(wanted)), wanted][:, None]).sum(axis=1)
            hits += int(((better < 20) & (wanted >= 0)).sum())
        return hits / len(target)

    return sessions, recall


def playlists(data: Path) -> tuple[Sessions, Callable[[np.ndarray], float]]:
    """Each playlist's distinct artists of at least 5 playlists, and nDCG@20 on unseen playlists by the given tool."""
    lists = []
    for path in sorted((data / "mpd/train").glob("*.json"), key=lambda p: int(p.name.split(".")[2].split("-")[0])):
        for playlist in json.loads(path.read_text())["playlists"]:
            lists.append(list(dict.fromkeys(track["artist_uri"] for track in playlist["tracks"])))
    count = Counter(artist for artists in lists for artist in artists)
    sessions = Sessions.of_lists([[a for a in artists if count[a] >= 5] for artists in lists])

    def ndcg(vectors: np.ndarray) -> float:
        top = Embeddings(vectors, sessions.vocab, "cosine").search(vectors, 21)
        ids = sessions.vocab.ids
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "similar.txt")
            lines = [" ".join([ids[r], *(ids[i] for i in near if i != r)][:21]) for r, near in enumerate(top.rows)]
            path.write_text("\n".join(lines) + "\n")
            tool = [sys.executable, str(data.parent / "tools/similar_quality.py"), str(path)]
            tool += [str(data / "mpd/train"), str(data / "mpd/test"), str(data / "artist_genres.parquet")]
            return json.loads(subprocess.run(tool, check=True, capture_output=True).stdout)["nDCG@20"]

    return sessions, ndcg


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", default=ROOT.parent / "shared/data")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=("nowplaying", "mpd"))
    given = parser.parse_args()
    tasks = {"nowplaying": (nowplaying, NOWPLAYING, "Recall@20"), "mpd": (playlists, PLAYLISTS, "nDCG@20")}
    for name, (load, recipe, figure) in tasks.items():
        if given.only in (None, name):
            compare(name, *load(given.data), recipe, figure, given.threads, given.repeats)


def compare(
    name: str, sessions: Sessions, quality: Callable, recipe: Word2Vec, figure: str, threads: int, repeats: int
) -> None:
    """Alternate the trainers and print a table of medians."""
    warm = Sessions.of_lists([[0, 1, 2]] * 9)
    ours(replace(recipe, sample=0.0), warm, threads, 0)  # compiles
    trainers: dict[str, Callable[[int], Run]] = {
        "embedrec": lambda seed: ours(recipe, sessions, threads, seed),
        "gensim, iterable": lambda seed: gensim(recipe, sessions, threads, seed, corpus_file=False),
        "gensim, corpus_file": lambda seed: gensim(recipe, sessions, threads, seed, corpus_file=True),
    }
    rows: dict[str, list[tuple[float, ...]]] = {trainer: [] for trainer in trainers}
    for seed in range(repeats):
        for trainer, train in trainers.items():
            run = train(seed)
            speed = len(sessions.items) * recipe.epochs / run.training
            rows[trainer].append((speed, run.vocabulary, quality(run.x), quality(run.x + run.y)))
    medians = {t: [statistics.median(column) for column in zip(*r, strict=True)] for t, r in rows.items()}
    print(f"\n{name}: {len(sessions)} sessions, {len(sessions.items)} events, {len(sessions.vocab)} items, "
          f"{threads} threads, {repeats} runs each, {recipe.epochs} epochs")  # fmt: skip
    print(f"{'':20}{'events/s':>12}{'vocabulary s':>14}{figure + ' input':>17}{'input+output':>14}")
    for trainer, (speed, vocabulary, alone, both) in medians.items():
        print(f"{trainer:20}{speed:12,.0f}{vocabulary:14.2f}{alone:17.4f}{both:14.4f}")
    mine, *theirs = medians.values()
    speed, _, alone, both = np.divide(mine, max(theirs))  # the faster: speed stands first
    print(f"{'ratio to the faster':20}{speed:11.1f}×{'':14}{alone:17.3f}{both:14.3f}", flush=True)


if __name__ == "__main__":
    main()
