"""Write the golden artifacts of the current format: `python -m tests.golden.make`.

Each folder `format<number>` is made once, by the version that introduced the format, and never again: every later
version must load it and answer as `expected.json` says. What is new in the same format is added to it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.data import Sessions, Vocab
from embedrec.data.topk import TopK
from embedrec.index.build import build_index
from embedrec.index.serialization import load_index, save_index
from embedrec.models.baselines.popular import Popular
from embedrec.models.cooccurrence.cooccurrence import Cooccurrence
from embedrec.models.cooccurrence.svd import Spectral
from embedrec.models.imported import Vectors
from embedrec.models.serialization import load_model, save_model
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.storage import artifacts
from embedrec.vectors.embeddings import Embeddings
from tests.conftest import of_lists

HERE = Path(__file__).parent
HISTORIES = ["ab", "c", "", "abcdefgh", "xyz"]
LISTS = ["abac", "abd", "bcda", "ab", "cd", "a", "dcb", "ef", "feg", "efgh", "hgf", "ge", "dab", "hfe"]
FIRST, COUNT = 9, 40  # the first row searched for in an index, and how many vectors it has


def sessions() -> Sessions:
    """Sessions with every column, ids of text, and names beyond ASCII."""
    made = of_lists(LISTS).drop_unused_items()
    names = np.array([f"Größe {i.upper()} ☃" for i in made.vocab.ids], dtype=object)
    vocab = Vocab(made.vocab.ids, names, made.vocab.counts)
    events = np.arange(len(made.items))
    ids = np.array([f"session {s}" for s in range(len(made))], dtype=object)
    users = np.arange(len(made)) % 3
    return Sessions(made.offsets, made.items, vocab, ids, events * 1000, events / 2, events % 2, users)


def embeddings(metric: Any) -> Embeddings:
    """Vectors of integer ids, negative ones too."""
    rng = np.random.default_rng(0)
    return Embeddings(rng.normal(size=(COUNT, 5)).round(3), Vocab(np.arange(COUNT) * 1000 - 7000), metric)


def make(root: Path) -> None:
    """Artifacts of every kind under `root`, and what they answer in `root`/expected.json."""
    everything = sessions()
    everything.save(root / "sessions" / "all", {"source": "golden"})
    fits: dict[str, Any] = {
        "word2vec": Word2Vec(dim=6, epochs=5, min_count=1).fit(everything),
        "word2vec-contexts": Word2Vec(dim=4, epochs=5, min_count=1, smoothing=0.5).fit(everything),
        "popular": Popular().fit(everything),
        "cooccurrence": Cooccurrence().fit(everything),
        "svd": Spectral(dim=4, min_count=1).fit(everything),
    }
    for name, model in fits.items():
        save_model(model, root / "models" / name, {"seed": 0})
    for metric in ("cosine", "dot", "l2"):
        vectors = embeddings(metric)
        model = Vectors(metric=vectors.metric).from_arrays(vectors.vocab, {"items": vectors.vectors})
        save_model(model, root / "models" / f"vectors-{metric}", {"seed": 0})
        for kind in ("flat", "IVF4,Flat"):
            name = f"{metric}-{kind[:4].strip(',').lower()}"
            save_index(build_index(vectors, kind), root / "indexes" / name, {"seed": 0})
    for name, kind in (("cosine-hnsw", "HNSW4"), ("dot-sq8", "IVF4,SQ8"), ("l2-fastscan", "Pad6,IVF4,PQ3x4fsr")):
        built = build_index(embeddings(name.partition("-")[0]), kind)
        save_index(built, root / "indexes" / name, {"seed": 0})
    content = json.dumps(answers(root), indent=1, ensure_ascii=False)
    (root / "expected.json").write_text(content + "\n", encoding="utf-8")


def answers(root: Path) -> dict[str, Any]:
    """What the artifacts under `root` answer: their name → ids, rows and scores as JSON values."""
    result: dict[str, Any] = {}
    for folder in sorted(root.glob("*/*")):
        artifact = artifacts.read(folder)
        key = f"{artifact.kind} {artifact.name}"
        if artifact.kind == "sessions":
            s = Sessions.load(artifact)
            columns = ("offsets", "items", "ids", "times", "weights", "kinds", "users")
            result[key] = {c: getattr(s, c).tolist() for c in columns}
            result[key] |= {c: getattr(s.vocab, c).tolist() for c in ("names", "counts")} | {
                "vocab": s.vocab.ids.tolist()
            }
        elif artifact.kind == "model":
            model = load_model(artifact)
            histories: list[Any] = HISTORIES if not model.vocab.integer else [[-7000, 0], [], [12000, 12000, 5]]
            answer = model.recommend(of_lists(histories, model.vocab), 4)
            result[key] = {"settings": artifact.about["settings"], **_plain(answer)}
        else:
            index = load_index(artifact)
            near = index.neighbours(np.arange(FIRST, FIRST + 5), 3)
            nprobe = index.settings.nprobe or 0
            result[key] = {"spec": index.spec, "metric": index.metric, "nprobe": nprobe, **_plain(near)}
    return result


def _plain(answer: TopK) -> dict[str, Any]:
    scores = [[round(float(s), 6) for s in row if np.isfinite(s)] for row in answer.scores]
    return {"ids": answer.ids(), "scores": scores}


if __name__ == "__main__":
    place = HERE / f"format{artifacts.FORMAT}"
    if place.exists():
        sys.exit(f"{place} is there already; what was written once is kept for ever")
    make(place)
