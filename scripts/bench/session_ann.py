"""Session kNN with candidates from FAISS (`candidates=ann`) on millions of sessions: recall, speed, memory and quality.

usage: python scripts/bench/session_ann.py [--sessions 5_000_000] [--items 100_000] [--threads 2] [--keep FOLDER]

Sessions are generated. SKNN with 100 neighbours compares all of them (exact), or the 1,000 candidates from FAISS. The
queries are prefixes of new sessions, which are neither in the index nor in its tuning. With --keep the model is saved
in FOLDER, or loaded from it if it exists.

  build      seconds, megabytes, and the measurements of the build
  neighbours one history at a time through the public API, the 100 nearest: median and 99th percentile of 1,000
             queries, both ways, after 1,000 others
  recall     share of the exact 100 nearest among the candidates: the same sessions, or equally similar ones
  quality    Recall@20 and MRR@20 of the next item, both ways
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import numpy as np
from generated import shopping

from embedrec.data.sessions import Sessions
from embedrec.evaluation.evaluate import EvaluationSettings, evaluate
from embedrec.models.serialization import load_model, save_model
from embedrec.models.session_knn.model import SessionKnnModel
from embedrec.models.session_knn.variants import SKNN
from embedrec.splitting.test_cases import TestCases
from embedrec.storage import artifacts

NEAREST, TIMED_QUERIES, QUERIES = 100, 1000, 10_000


def main() -> None:
    import faiss

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=5_000_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    faiss.omp_set_num_threads(given.threads)
    train = shopping(given.sessions, given.items)
    print(f"{len(train):,} sessions, {len(train.items):,} events, {len(train.vocab):,} items", flush=True)
    if given.keep is not None and given.keep.exists():
        about = artifacts.read(given.keep, "model")
        ann = cast(SessionKnnModel, load_model(about)).with_threads(given.threads)
        facts = about.about["facts"]
    else:
        ann, facts = build(train, given.threads)
        if given.keep is not None:
            save_model(ann, given.keep, {"facts": facts})
    print(f"  build       {facts}", flush=True)
    exact = SKNN(NEAREST, 0).fit(train, threads=given.threads)
    questions = test_prefixes(given.items).reindex(train.vocab)
    warm, histories = questions.histories(0, TIMED_QUERIES), questions.histories(TIMED_QUERIES, 2 * TIMED_QUERIES)
    print_latency(exact, warm, histories, "exact")
    print_latency(ann, warm, histories, "FAISS")
    print_recall(exact, ann, histories)
    terms = EvaluationSettings(at=(20,), exclude_seen=False, ties="conservative", draws=0)
    scores = [evaluate(model, questions, train, terms).metrics for model in (exact, ann)]
    (recall, mrr), (recall_ann, mrr_ann) = [(s["recall@20"], s["mrr@20"]) for s in scores]
    print(
        f"  quality     Recall@20 {recall:.4f} exact, {recall_ann:.4f} FAISS ({recall_ann / recall - 1:+.2%}); "
        f"MRR@20 {mrr:.4f}, {mrr_ann:.4f} ({mrr_ann / mrr - 1:+.2%})",
        flush=True,
    )


def build(train: Sessions, threads: int) -> tuple[SessionKnnModel, dict[str, Any]]:
    """The model with candidates from FAISS, and the measurements of its build."""
    facts: dict[str, Any] = {}

    def report(event: str, **numbers: Any) -> None:
        if event == "candidates":
            facts.update(numbers)

    started = perf_counter()
    ann = SKNN(NEAREST, 0, candidates="ann").fit(train, threads=threads, report=report)
    seconds, size = round(perf_counter() - started), round(ann.arrays["faiss"].nbytes / 1e6)
    return ann, {"seconds": seconds, "megabytes": size, **facts}


def test_prefixes(items: int) -> TestCases:
    """The next item after a prefix of each of 10,000 new sessions."""
    fresh = shopping(QUERIES, items, seed=1)
    length = np.random.default_rng(2).integers(1, fresh.lengths)
    targets = fresh.items[fresh.offsets[:-1] + length].astype(np.int64)
    return TestCases(fresh, np.arange(QUERIES), length, np.arange(QUERIES + 1), targets)


def print_latency(model: SessionKnnModel, warm: Sessions, histories: Sessions, name: str) -> None:
    """Query one history at a time, after a warm-up that loads the memory of the model."""
    for q in range(len(warm)):
        model.neighbours(warm.take(np.array([q])), NEAREST)
    taken = []
    for q in range(len(histories)):
        one = histories.take(np.array([q]))
        started = perf_counter()
        model.neighbours(one, NEAREST)
        taken.append(1000 * (perf_counter() - started))
    median, worst = np.quantile(taken, [0.5, 0.99])
    print(f"  neighbours  {name} median {median:.3f} ms  p99 {worst:.3f} ms", flush=True)


def print_recall(exact: SessionKnnModel, ann: SessionKnnModel, histories: Sessions) -> None:
    numbers, similarities = exact.neighbours(histories, NEAREST)
    near = ann.neighbours(histories, NEAREST)[1]
    proposed = np.sort(ann.arrays["numbers"][ann.candidate_source.generate(histories, ann.candidate_source.count)])
    valid = numbers >= 0
    same = np.array([np.isin(n[n >= 0], p).sum() for n, p in zip(numbers, proposed, strict=True)])
    last = np.where(valid, similarities, np.inf).min(axis=1, keepdims=True)
    similar = np.minimum((near >= last * (1 - 1e-9)).sum(axis=1), valid.sum(axis=1))
    print(
        f"  recall      {similar.sum() / valid.sum():.4f} of the exact {NEAREST} nearest or as similar ones among "
        f"{ann.candidate_source.count:,} candidates ({same.sum() / valid.sum():.4f} the same sessions)",
        flush=True,
    )


if __name__ == "__main__":
    main()
