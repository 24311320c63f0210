"""word2vec over sessions: items of the same sessions get similar vectors.

Mikolov et al. 2013a, 2013b (skip-gram and CBOW with negative sampling); Barkan & Koenigstein 2016 (item2vec:
baskets for sentences); Caselles-Dupré, Lesaint & Royo-Letelier 2018 (the settings to tune: noise exponent,
sub-sampling, epochs); Levy & Goldberg 2014 (what it factorises); Pennington, Socher & Manning 2014 (the sum of both
vectors). `context_smoothing` has what is done to the vectors
after training.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from embedrec.data.replay import replayed_sessions
from embedrec.data.session_changes import SessionChanges
from embedrec.data.sessions import Sessions, check_sessions
from embedrec.data.vocab import Vocab, unify_ids
from embedrec.errors import DataError, SettingsError, need_package
from embedrec.models.array_packing import names_or_empty, shaped
from embedrec.models.base import Arrays
from embedrec.models.context_smoothing import Contexts, add_contexts, mean_contexts, smooth
from embedrec.models.frozen import NewItems
from embedrec.models.long_sessions import report_long
from embedrec.models.pair_counts import frequent_rows
from embedrec.models.popularity_scaling import best_share, scale_norms
from embedrec.models.session_encoders import mean_encoder
from embedrec.models.vector_model import VectorModel
from embedrec.models.warm_start import check_warm_start, start_rows
from embedrec.models.word2vec.popularity_choice import choose_again
from embedrec.models.word2vec.settings import Word2VecSettings, WordVectors
from embedrec.progress import Report, quiet
from embedrec.storage.memory_budget import count_rows
from embedrec.training.context import DEFAULT_CONTEXT, TrainingContext
from embedrec.training.shares import check_share, share_seed, total
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.procrustes import rotate


@dataclass(frozen=True)
class Word2Vec(Word2VecSettings):
    """word2vec with negative sampling; see `Word2VecSettings`.

    Raises SettingsError for values that are not allowed.

    >>> from embedrec import Sessions, Word2Vec
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]])
    >>> model = Word2Vec(dim=8, min_count=1, sample=0).fit(sessions)
    >>> model.embeddings.vectors.shape
    (4, 8)
    """

    def continuing(self, *, changes: bool = False) -> Word2Vec:
        """These settings for a warm start from a finished model: few epochs at a low rate.

        changes  the warm start is told which sessions changed: it trains on these and on some of the others, so that a
                 higher rate does not overfit, see `scripts/bench/refresh_days.py`. Full training on few new sessions
                 alone would overfit trained vectors to them, see `scripts/bench/continue.py`
        """
        most_epochs, most_alpha = _CHANGES if changes else _CONTINUING
        epochs, alpha = min(self.epochs, most_epochs), min(self.alpha, most_alpha)
        return replace(self, epochs=epochs, alpha=alpha, min_alpha=min(self.min_alpha, alpha))

    def fit(
        self,
        sessions: Sessions,
        *,
        seed: int = 0,
        threads: int = 1,
        report: Report = quiet,
        init: VectorModel | None = None,
        changes: SessionChanges | None = None,
        context: TrainingContext = DEFAULT_CONTEXT,
    ) -> Word2VecModel:
        """Train on S sessions of E events.

        seed     source of all randomness; the same seed and one thread give the same bytes
        threads  number of threads
        report   called as report("vocabulary", items=, left_out=) and report("long_sessions", …), see `report_long`;
                 after each epoch as report("epoch", epoch=, epochs=, loss=, seconds=, events_per_second=) with the mean
                 loss of the pairs of the epoch, and about ten times a second as report("progress", done=, total=,
                 unit="events")
        init     a word2vec model to continue. Use the settings of `model.recipe.continuing()`. Without `changes`, its
                 items come first, in its order; new items follow. Items that do not occur in the sessions keep their
                 vectors
        changes  what differs between the sessions of `init` and these, all that there are: trained on are the changed
                 ones and `replay` times as many others. Items are those of a full training; a new one starts with the
                 mean vector of its contexts, the others end at the mean of their vectors before and after. A
                 `popularity` that the first training chose is chosen again, by the changed sessions
        context  other processes of the training: `sessions` are then the share of this one, all with the same
                 vocabulary. Each trains on its share, and they exchange the changes of their vectors many times an
                 epoch, see `training.ROUND_EVENTS`. An exponent of popularity is chosen by the sessions of the first
                 process

        Returns a model of the arrays of `from_arrays`. Raises DataError when no pair is left to learn from,
        SettingsError for an invalid `init` or `threads`, TrainingError when training diverges.
        """
        check_sessions(sessions)
        if self.backend == "gensim":
            need_package("gensim", "word2vec with backend=gensim")
        if threads < 1:
            raise SettingsError(f"threads must be at least 1, but is {threads}")
        self._check_shares(sessions, init, context)
        check_warm_start(self, init, changes, sessions)
        joined = init if changes is None else None  # whose items are part of the vocabulary
        vocab = _vocabulary(sessions, self.min_count, None if joined is None else joined.vocab, context)
        report("vocabulary", items=len(vocab), left_out=int((vocab.rows_of(sessions.vocab.ids) < 0).sum()))
        sessions = sessions.reindex(vocab)
        if not (sessions.lengths > 1).any():
            raise DataError(
                f"no session has two items to learn from ({len(sessions)} sessions, {len(sessions.items)} events"
                f" of {len(vocab)} items mentioned at least {self.min_count} times); lower min_count"
            )
        start = self._initial(sessions, init, seed)
        chosen = sessions if changes is None else replayed_sessions(changes, self.replay, seed=seed).reindex(vocab)
        report_long(chosen, chosen.lengths, self.window, report)
        x, y = start
        if (chosen.lengths > 1).any():
            mentions = total(count_rows(sessions.items, len(vocab)), context)
            if self.backend == "gensim":
                from embedrec.models.word2vec.gensim import train_gensim

                x, y = train_gensim(self, chosen, start, mentions=mentions, seed=seed, threads=threads, report=report)
            else:
                from embedrec.models.word2vec.training import train

                x, y = train(
                    self, chosen, start, mentions, seed=share_seed(seed, context), threads=threads, report=report,
                    context=context,
                )  # fmt: skip
            if init is not None and changes is not None:
                x, y = _averaged(start, WordVectors(x, y), init.vocab.rows_of(vocab.ids) >= 0)
        contexts = _of_all(self._contexts(sessions, WordVectors(x, y), joined), context)
        arrays = {"input": x, "output": y, "context": contexts.mean, "mentions": contexts.counts}
        popularity = self.popularity
        own = init.chosen_popularity if isinstance(init, Word2VecModel) else None
        if isinstance(init, Word2VecModel) and changes is not None and own is not None and own == popularity:
            arrays[_CHOSEN] = np.ones(1, dtype=np.int64)
            popularity = choose_again(init.items, own, self.decay, changes, seed=seed)
        if popularity is None:
            arrays[_CHOSEN] = np.ones(1, dtype=np.int64)
            # contexts must not contain the items that the choice of the exponent predicts
            early = sessions.take(np.arange(len(sessions)), np.maximum(sessions.lengths - 1, 0))
            mean = _of_all(self._contexts(early, WordVectors(x, y), joined), context).mean
            items = replace(self, popularity=0.0).from_arrays(vocab, {**arrays, "context": mean}).items
            popularity = best_share(items, mean_encoder(items.vectors, self.decay), sessions, seed=seed)
        return replace(self, popularity=popularity).from_arrays(vocab, arrays)

    def from_arrays(self, vocab: Vocab, arrays: Arrays) -> Word2VecModel:
        """The model of arrays.

        input, output  (n, dim) float32
        context        (n, dim) float32 and "mentions" (n,) int64, see `Contexts`; models of earlier versions have
                       neither
        most_mentions  (1,) int64: mentions that norms are relative to, of models that were extended; see `smooth`
        chosen_popularity  (1,) int64, of models whose training has chosen `popularity`

        Raises DataError when they do not fit.
        """
        x, y = arrays["input"], arrays["output"]
        if x.shape != y.shape:
            raise DataError(f"input vectors are {x.shape}, but output vectors {y.shape}")
        if x.dtype != np.float32 or y.dtype != np.float32:
            raise DataError(f"vectors must be float32, but are {x.dtype} and {y.dtype}")
        vectors = self._trained(WordVectors(x, y))
        if "context" in arrays:
            counts = shaped(arrays, "mentions", (len(vocab),), self.name, "int64")
            if (counts < 0).any():
                raise DataError("mentions of a word2vec model must not be negative")
            contexts = Contexts(shaped(arrays, "context", x.shape, self.name), counts)
            most = None
            if "most_mentions" in arrays:
                most = int(shaped(arrays, "most_mentions", (1,), self.name, "int64")[0])
                if most < 1:
                    raise DataError("the most mentions of an item of a word2vec model must be at least 1")
            vectors = smooth(vectors, contexts, self.smoothing, most)
        if _CHOSEN in arrays:
            shaped(arrays, _CHOSEN, (1,), self.name, "int64")
        items = Embeddings(vectors, vocab, "cosine")
        encoder = mean_encoder(items.vectors, self.decay)
        similar = scale_norms(items, self.similar_popularity)
        answers = scale_norms(items, self.popularity or 0.0)
        return Word2VecModel(self, arrays, similar, encoder, answers, answers, items)

    def rotated(self, arrays: Arrays, rotation: np.ndarray) -> Arrays:
        """See `RotatableRecipe`."""
        matrices = {"input", "output", "context"} & arrays.keys()
        return {**arrays, **{name: rotate(arrays[name], rotation) for name in sorted(matrices)}}

    def solve_new_items(self, items: NewItems, *, seed: int, threads: int, report: Report) -> Arrays:
        """See `FrozenRecipe`."""
        from embedrec.models.word2vec.new_items import solve_new_items

        return solve_new_items(self, items, seed=seed, threads=threads, report=report)

    def _trained(self, vectors: WordVectors) -> np.ndarray:
        """The items' trained vectors: (n, dim)."""
        return vectors.trained(self.vectors)

    def _contexts(self, sessions: Sessions, vectors: WordVectors, init: VectorModel | None) -> Contexts:
        """The contexts of all items in the sessions, and in those of a continued model."""
        contexts = mean_contexts(sessions, self._trained(vectors), self.window)
        if init is None or "context" not in init.arrays:
            return contexts
        return add_contexts(Contexts(init.arrays["context"], init.arrays["mentions"]), contexts)

    def _check_shares(self, sessions: Sessions, init: VectorModel | None, context: TrainingContext) -> None:
        """Raises SettingsError or DataError for what is not trained on a share of the sessions, or does not fit."""
        if context.memory is not None or context.processes is not None:
            if init is not None or self.backend == "gensim":
                given = "a warm start" if init is not None else "backend=gensim"
                raise SettingsError(f"{given} of word2vec takes one process without --memory; leave these out")
            check_share(self, len(sessions.items), context)

    def _initial(self, sessions: Sessions, init: VectorModel | None, seed: int) -> WordVectors:
        """Initial vectors (n, dim): random inputs and zero outputs; or those of `init`, see `start_rows`."""
        rng = np.random.default_rng(seed)
        x = rng.uniform(-1 / self.dim, 1 / self.dim, (len(sessions.vocab), self.dim)).astype(np.float32)
        y = np.zeros_like(x)
        if init is not None:
            dim = init.arrays["input"].shape[1] if "input" in init.arrays else None
            if dim != self.dim:
                raise SettingsError(f"a model of {dim} dimensions cannot be continued with dim={self.dim}")
            x = start_rows(x, sessions.vocab, init.arrays["input"], init.vocab, sessions)
            y = start_rows(y, sessions.vocab, init.arrays["output"], init.vocab, sessions)
        return WordVectors(x, y)


@dataclass(frozen=True, eq=False, repr=False)
class Word2VecModel(VectorModel):
    """A model whose similar items and recommendations scale the norms of the same vectors.

    items  the vectors with their full norm; those of sessions are compared by the cosine
    """

    recipe: Word2Vec
    items: Embeddings

    @property
    def chosen_popularity(self) -> float | None:
        """The exponent, if the training has chosen it, so that a continuation may choose another one."""
        return self.recipe.popularity if _CHOSEN in self.arrays else None

    def scale_norms(self, share: float) -> VectorModel:
        """See `VectorModel.scale_norms`; it starts from the full norms."""
        items = scale_norms(self.items, share)
        return replace(self, embeddings=items, answers=items, searcher=items)

    def encode(self, sessions: Sessions) -> Embeddings:
        """See `VectorModel.encode`."""
        return replace(super().encode(sessions), metric="cosine")


_CHOSEN = "chosen_popularity"
_CONTINUING, _CHANGES = (2, 0.005), (4, 0.05)  # most epochs, highest alpha


def _averaged(start: WordVectors, trained: WordVectors, old: np.ndarray) -> WordVectors:
    """The vectors of a warm start: of items that are old (n,), the mean of those before and after.

    Every warm start raises the learning rate again, and its noise adds up from day to day: averages of weights have
    less of it (Polyak & Juditsky 1992).
    """
    share = np.where(old, np.float32(0.5), np.float32(1))[:, None]  # (n, 1)
    return WordVectors(*(a + share * (b - a) for a, b in zip(start, trained, strict=True)))


def _of_all(own: Contexts, context: TrainingContext) -> Contexts:
    """The contexts in the sessions of all processes."""
    if context.processes is None:
        return own
    counts = total(own.counts, context)
    sums = total(own.mean * own.counts[:, None].astype(np.float32), context)
    return Contexts(sums / np.maximum(counts, 1)[:, None].astype(np.float32), counts)


def _vocabulary(sessions: Sessions, min_count: int, before: Vocab | None, context: TrainingContext) -> Vocab:
    """The items to train, with counts in all processes: those of `before` first, in their order, with both counts
    added."""
    given = sessions.vocab
    if before is None:
        rows, mentions = frequent_rows(total(count_rows(sessions.items, len(given)), context), min_count)
        return given.take(rows).with_counts(mentions)
    mentions = np.bincount(sessions.items, minlength=len(given))
    old = given.rows_of(before.ids)  # (n_before,) rows in the sessions' vocabulary, −1 for missing items
    new = np.flatnonzero((mentions >= min_count) & (before.rows_of(given.ids) < 0))
    counts = np.concatenate([np.where(old >= 0, mentions[old], 0), mentions[new]]).astype(np.int64)
    earlier = np.zeros(len(before), dtype=np.int64) if before.counts is None else before.counts
    names = None
    if before.names is not None or given.names is not None:
        names = np.concatenate([names_or_empty(before), names_or_empty(given)[new]])
    ids = np.concatenate(unify_ids(before.ids, given.ids[new])) if len(new) else before.ids
    both = counts + np.concatenate([earlier, np.zeros(len(new), dtype=np.int64)])
    return Vocab(ids, names, both)
