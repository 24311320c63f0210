"""New items of word2vec against vectors that stay: training in which only the new rows learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embedrec.models.base import Arrays
from embedrec.models.context_smoothing import mean_contexts, mean_vectors_beside
from embedrec.models.frozen import NewItems
from embedrec.models.word2vec.settings import Word2VecSettings, WordVectors
from embedrec.models.word2vec.training import train
from embedrec.progress import Report, quiet

_EPOCHS = 20  # passes over the sessions of new items
_RATE = 0.5  # share of the recipe's learning rate


def solve_new_items(recipe: Word2VecSettings, items: NewItems, *, seed: int, threads: int, report: Report) -> Arrays:
    """The arrays of the extended model, see `FrozenRecipe`.

    A new item starts with the mean vectors beside its mentions. Every epoch over the sessions of new items begins with
    the old vectors, so that only the new ones learn. Contexts of old items and their mentions stay, and so does the
    number of mentions that norms are relative to.
    """
    sessions = items.their_sessions
    used = np.unique(sessions.items)  # rows of the result
    few = sessions.reindex(sessions.vocab.take(used))
    new, window = items.new[used], recipe.window
    start = [items.extended(name)[used] for name in ("input", "output")]
    for vectors in start:
        vectors[new] = mean_vectors_beside(few, vectors, window).mean[new]
    fixed = [vectors[~new] for vectors in start]
    learned, mentions = WordVectors(*start), np.bincount(few.items, minlength=len(used))
    for epoch in range(_EPOCHS if (few.lengths > 1).any() and new.any() else 0):
        rate = _RATE * (recipe.alpha - (recipe.alpha - recipe.min_alpha) * epoch / _EPOCHS)
        one = replace(recipe, epochs=1, alpha=rate, min_alpha=rate, sample=0.0, backend="embedrec")
        learned = WordVectors(*train(one, few, learned, mentions, seed=seed + epoch, threads=threads, report=quiet))
        for vectors, unchanged in zip(learned, fixed, strict=True):
            vectors[~new] = unchanged
        report("progress", done=epoch + 1, total=_EPOCHS, unit="epochs")
    arrays = dict(items.arrays)
    for name, vectors in zip(("input", "output"), learned, strict=True):
        arrays[name] = items.extended(name)
        arrays[name][used[new]] = vectors[new]
    if "context" not in items.arrays:
        return arrays
    contexts = mean_contexts(few, learned.trained(recipe.vectors), window)
    context, mentions = items.extended("context"), items.extended("mentions")
    context[used[new]], mentions[used[new]] = contexts.mean[new], contexts.counts[new]
    most = items.arrays.get("most_mentions", np.array([items.arrays["mentions"].max(initial=1)]))
    return {**arrays, "context": context, "mentions": mentions, "most_mentions": most}
