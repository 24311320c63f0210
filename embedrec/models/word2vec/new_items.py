"""New items of word2vec against vectors that stay: training in which only the new rows learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.models.base import Arrays
from embedrec.models.context_smoothing import mean_contexts, mean_vectors_beside
from embedrec.models.frozen import NewItems
from embedrec.models.word2vec.settings import Word2VecSettings, WordVectors
from embedrec.models.word2vec.training import train
from embedrec.progress import Report, quiet

_EPOCHS = 20  # passes over the sessions of new items and the others
_OTHERS = 2  # times as many other sessions, in which new items are negatives only


def solve_new_items(recipe: Word2VecSettings, items: NewItems, *, seed: int, threads: int, report: Report) -> Arrays:
    """The arrays of the extended model, see `FrozenRecipe`.

    A new item starts with the mean vectors beside its mentions. Every epoch begins with the old vectors, so that only
    the new ones learn. Negatives are drawn from all items, as in a full training. Contexts of old items and their
    mentions stay, and so does the number of mentions that norms are relative to.
    """
    theirs, new = items.their_sessions, items.new
    arrays = {**items.arrays, **{name: items.extended(name) for name in ("input", "output")}}
    start = WordVectors(arrays["input"], arrays["output"])
    for vectors in start:
        vectors[new] = mean_vectors_beside(theirs, vectors, recipe.window).mean[new]
    learned, mentions = start, np.bincount(items.sessions.items, minlength=len(new))
    sessions = _with_others(items, seed)
    for epoch in range(_EPOCHS if (theirs.lengths > 1).any() else 0):
        rate = recipe.alpha - (recipe.alpha - recipe.min_alpha) * epoch / _EPOCHS
        one = replace(recipe, epochs=1, alpha=rate, min_alpha=rate, backend="embedrec")
        trained = train(one, sessions, learned, mentions, seed=seed + epoch, threads=threads, report=quiet)
        learned = WordVectors(*(np.where(new[:, None], a, b) for a, b in zip(trained, start, strict=True)))
        report("progress", done=epoch + 1, total=_EPOCHS, unit="epochs")
    arrays |= {"input": learned.input, "output": learned.output}
    if "context" not in items.arrays:
        return arrays
    contexts = mean_contexts(theirs, learned.trained(recipe.vectors), recipe.window)
    context, counts = items.extended("context"), items.extended("mentions")
    context[new], counts[new] = contexts.mean[new], contexts.counts[new]
    most = items.arrays.get("most_mentions", np.array([items.arrays["mentions"].max(initial=1)]))
    return {**arrays, "context": context, "mentions": counts, "most_mentions": most}


def _with_others(items: NewItems, seed: int) -> Sessions:
    """The sessions of new items, and a sample of the others."""
    sessions = items.sessions
    theirs = np.zeros(len(sessions), dtype=bool)
    theirs[sessions.session_of[items.new[sessions.items]]] = True
    others = np.flatnonzero(~theirs)
    count = min(_OTHERS * int(theirs.sum()), len(others))
    drawn = np.random.default_rng(seed).choice(others, count, replace=False)
    return sessions.take(np.sort(np.concatenate([np.flatnonzero(theirs), drawn])))
