"""The gensim backend of word2vec (Řehůřek & Sojka 2010), for comparison."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.errors import TrainingError
from embedrec.progress import Report

if TYPE_CHECKING:
    from embedrec.models.word2vec.settings import Word2VecSettings, WordVectors

LONGEST = 10_000  # words of a sentence; gensim silently drops the rest


def train_gensim(
    recipe: Word2VecSettings,
    sessions: Sessions,
    start: WordVectors,
    *,
    mentions: np.ndarray,
    seed: int,
    threads: int,
    report: Report,
) -> tuple[np.ndarray, np.ndarray]:
    """Train from initial vectors; returns the new input and output vectors. See `training.train`.

    A session of more than 10,000 items becomes several sentences, which lose the pairs across their borders. Epochs
    report no loss: that of gensim is not a mean and saturates at 2²⁷.
    """
    from gensim.models import Word2Vec as Gensim

    model = Gensim(
        vector_size=recipe.dim,
        window=recipe.window or LONGEST,
        shrink_windows=recipe.shrink_windows and recipe.window > 0,
        sg=int(recipe.architecture == "skip-gram"),
        hs=0,
        negative=recipe.negative,
        ns_exponent=recipe.ns_exponent,
        sample=recipe.sample,
        min_count=1,
        alpha=recipe.alpha,
        min_alpha=recipe.min_alpha,
        seed=seed % 2**32,
        workers=threads,
    )
    model.build_vocab_from_freq({str(row): int(mentions[row]) for row in np.flatnonzero(mentions)})
    present = np.array([int(word) for word in model.wv.index_to_key])  # (m,) row of each of gensim's words
    model.wv.vectors[:], model.syn1neg[:] = start.input[present], start.output[present]
    sentences, total = Sentences(sessions, None if recipe.ordered else np.random.default_rng(seed)), len(sessions.items)
    for epoch in range(recipe.epochs):
        started = perf_counter()
        span = recipe.min_alpha - recipe.alpha
        model.train(
            sentences,
            total_examples=len(sentences),
            epochs=1,
            start_alpha=recipe.alpha + span * epoch / recipe.epochs,
            end_alpha=recipe.alpha + span * (epoch + 1) / recipe.epochs,
        )
        seconds = perf_counter() - started
        report("progress", done=(epoch + 1) * total, total=recipe.epochs * total, unit="events")
        report("epoch", epoch=epoch + 1, epochs=recipe.epochs, seconds=seconds, events_per_second=total / seconds)
        if not (np.isfinite(model.wv.vectors).all() and np.isfinite(model.syn1neg).all()):
            raise TrainingError(f"training diverged in epoch {epoch + 1} of {recipe.epochs}; lower alpha")
    x, y = start.input.copy(), start.output.copy()
    x[present], y[present] = model.wv.vectors, model.syn1neg
    return x, y


class Sentences:
    """The sessions as gensim sentences, each shuffled if sessions have no order."""

    def __init__(self, sessions: Sessions, shuffle: np.random.Generator | None) -> None:
        self.sessions, self.shuffle = sessions, shuffle
        self.words = np.array([str(row) for row in range(len(sessions.vocab))], dtype=object)

    def __len__(self) -> int:
        return int(np.maximum(-(-self.sessions.lengths // LONGEST), 1).sum())

    def __iter__(self):  # type: ignore[no-untyped-def]
        for s in range(len(self.sessions)):
            items = self.sessions[s]
            if self.shuffle is not None:
                items = self.shuffle.permutation(items)
            for at in range(0, max(len(items), 1), LONGEST):
                yield self.words[items[at : at + LONGEST]].tolist()
