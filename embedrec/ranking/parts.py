"""Parts: the models that retrieve the candidates of a composite model, each with a number of candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from embedrec.config import build, settings_of
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError, can_import, did_you_mean
from embedrec.models import MODELS, recipe_class
from embedrec.models.array_packing import pack_ids, unpack_ids
from embedrec.models.base import Arrays, Model, Recipe
from embedrec.models.torch_recipe import check_torch
from embedrec.models.vector_model import VectorModel
from embedrec.ranking.candidates import ModelLists
from embedrec.ranking.cell_search import build_cells, load_cells

COMPOSITES = ("fusion", "ranker")  # recipes that have parts, and cannot be parts
_USUAL = (("vstan", 100), ("mf", 100), ("word2vec", 100), ("sr", 50), ("cooccurrence", 50))
_SIMILAR = (("svd", 100), ("word2vec", 100), ("ar", 100))
_PRUNED = ("sr", "ar")  # rules, whose lists are as long as their pruning
_LONG = 30  # events of an average session, beyond which it is a playlist or a user's history rather than a visit


@dataclass(frozen=True)
class PartSettings:
    """A part before it is trained.

    name    of a recipe, or of a model of the workspace
    recipe  its settings
    count   number of candidates
    """

    name: str
    recipe: Recipe
    count: int


@dataclass(frozen=True, eq=False)
class Part:
    """A model that retrieves candidates.

    model     answers candidates, in cells if it has many vectors, see `cell_search`
    exact     the same model, which answers longer lists
    count     number of candidates
    rows      (m+1,) int32 row in the composite's vocabulary of each of the model's m items, −1 where absent; the last
              is −1. None if both vocabularies are the same
    own_rows  (n,) int64 the reverse: row in the model's vocabulary of each item of the composite, −1 where absent
    """

    name: str
    model: Model
    exact: Model
    count: int
    rows: np.ndarray | None
    own_rows: np.ndarray | None

    def lists(self, histories: Sessions, count: int, *, exclude_seen: bool) -> ModelLists:
        """The model's best items of histories in the composite's vocabulary: at most `count`, with rows of it.

        Items that the composite lacks have row −1.
        """
        if self.own_rows is not None:
            histories = histories.renumber(self.own_rows[histories.items], self.model.vocab)
        model = self.model if count <= self.count else self.exact
        k, queries = min(count, len(model.vocab)), None
        if isinstance(model, VectorModel):
            queries = model.encoder(histories)
            topk = model.recommend_for(queries, histories, k, exclude_seen=exclude_seen)
        else:
            topk = model.recommend(histories, k, exclude_seen=exclude_seen)
        return ModelLists(topk.rows if self.rows is None else self.rows[topk.rows], topk.scores, queries)


def parse_candidates(text: str) -> list[tuple[str, int]]:
    """Names and numbers of candidates: "vstan=100,mf=50" → [("vstan", 100), ("mf", 50)].

    Raises SettingsError for anything else, a model that is named twice, and fewer than two models.
    """
    pairs: list[tuple[str, int]] = []
    for one in filter(None, map(str.strip, text.split(","))):
        name, _, number = (word.strip() for word in one.partition("="))
        if not name or not number.isascii() or not number.isdigit() or not 0 < int(number) <= _MOST:
            raise SettingsError(
                f"candidates are models with numbers from 1 to {_MOST}, as in vstan=100,mf=100, but one is {one!r}"
            )
        pairs.append((name, int(number)))
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SettingsError(f"candidates name the model {twice} twice; name it once")
    if len(pairs) < 2:
        raise SettingsError(f"candidates must come from two models or more, but are {text!r}; add a model")
    return pairs


_MOST = 10_000


def default_candidates(sessions: Sessions, *, similar: bool = False) -> str:
    """The parts that suit sessions.

    similar  whether they are to propose similar items; these come from vectors and counts

    Session kNN, factorisation and word2vec complement each other; rules of the last item add what follows at once, in
    long sessions SVD in their place. If torch can be imported, sasrec is among them: it is often the best of them, and
    takes most of the time.
    """
    usual = [*(_SIMILAR if similar else _USUAL)]
    if not similar and len(sessions.items) > _LONG * max(1, len(sessions)):
        usual[3] = ("svd", 50)
    if not similar and can_import("torch"):
        usual.append(("sasrec", 100))
    return ",".join(f"{name}={count}" for name, count in usual)


def part_settings(candidates: str, settings: Mapping[str, Mapping[str, Any]]) -> list[PartSettings]:
    """The parts of a composite.

    candidates  see `parse_candidates`
    settings    name → settings over the defaults; "recipe" among them is the name of the recipe

    Raises SettingsError for an unknown model, wrong settings, settings of a model that is no part, composites as parts,
    and missing packages.
    """
    pairs = parse_candidates(candidates)
    odd = next((name for name in settings if name not in dict(pairs)), None)
    if odd is not None:
        near = did_you_mean(odd, dict(pairs))
        raise SettingsError(f"parts has settings of {odd!r}, which is not among the candidates {candidates}{near}")
    parts = []
    for name, count in pairs:
        values = dict(settings.get(name, {}))
        recipe = str(values.pop("recipe", name))
        if recipe in COMPOSITES:
            raise SettingsError(
                f"{name} cannot propose candidates, as it ranks those of other models; name these instead"
            )
        if recipe not in MODELS:
            hint = did_you_mean(recipe, MODELS) or f"; valid are {', '.join(m for m in MODELS if m not in COMPOSITES)}"
            raise SettingsError(f"no model is called {name!r}, which candidates names{hint}")
        if recipe in _PRUNED:
            values.setdefault("pruning", max(count, recipe_class(recipe).pruning))
        built = build(recipe_class(recipe), values, source=f"the settings of {name}")
        check_torch(built)
        parts.append(PartSettings(name, built, count))
    return parts


def saved_settings(parts: Sequence[PartSettings]) -> tuple[str, dict[str, dict[str, Any]]]:
    """The inputs of `part_settings` that give these parts, with all settings written out."""
    candidates = ",".join(f"{part.name}={part.count}" for part in parts)
    return candidates, {p.name: {"recipe": p.recipe.name, **settings_of(p.recipe)} for p in parts}


def pack_parts(models: Sequence[Model], vocab: Vocab, *, seed: int = 0, similar: bool = False) -> dict[str, np.ndarray]:
    """The arrays of parts: those of part p begin with "p.".

    similar  whether they propose similar items, see `_proposing`

    "p.rows" (m,) int32 are its items, if not all in order, −1 for items that `vocab` lacks, such as cold ones; the ids
    of these are in "p.further_ids", see `pack_ids`. "p.search" (b,) uint8 is an index of a part of many vectors.
    """
    arrays: dict[str, np.ndarray] = {}
    for p, model in enumerate(models):
        arrays.update({f"{p}.{name}": array for name, array in model.arrays.items()})
        if not np.array_equal(model.vocab.ids, vocab.ids):
            rows = arrays[f"{p}.rows"] = vocab.rows_of(model.vocab.ids).astype(np.int32)
            if (rows < 0).any():
                arrays.update(pack_ids(model.vocab.ids[rows < 0], f"{p}.{_FURTHER}"))
        proposing = _proposing(model, similar)
        cells = build_cells(proposing, seed) if isinstance(proposing, VectorModel) else None
        if cells is not None:
            arrays[f"{p}.search"] = cells
    return arrays


def unpack_parts(
    parts: Sequence[PartSettings], vocab: Vocab, arrays: Arrays, *, similar: bool = False
) -> tuple[Part, ...]:
    """The parts of the arrays of `pack_parts`. Raises DataError when they do not fit the vocabulary."""
    made, n = [], len(vocab)
    for p, part in enumerate(parts):
        own = {name.removeprefix(f"{p}."): array for name, array in arrays.items() if name.startswith(f"{p}.")}
        rows, cells = own.pop("rows", None), own.pop("search", None)
        if rows is None:
            model = _proposing(part.recipe.from_arrays(vocab, own), similar)
            made.append(Part(part.name, _searching(model, cells), model, part.count, None, None))
            continue
        known = rows >= 0
        if rows.dtype != np.int32 or rows.ndim != 1 or len(np.unique(rows[known])) != known.sum():
            raise DataError(f"the items of part {part.name} must be distinct int32 rows")
        if rows.max(initial=-1) >= n:
            raise DataError(f"the items of part {part.name} must be rows of the {n} items")
        own_rows = np.full(n, -1, dtype=np.int64)
        own_rows[rows[known]] = np.flatnonzero(known)
        model = _proposing(part.recipe.from_arrays(_vocab_of(part.name, vocab, rows, own), own), similar)
        exact, every = model, np.append(rows, np.int32(-1))
        made.append(Part(part.name, _searching(model, cells), exact, part.count, every, own_rows))
    return tuple(made)


_FURTHER = "further"  # ids of items that the composite lacks


def _vocab_of(part: str, vocab: Vocab, rows: np.ndarray, own: dict[str, np.ndarray]) -> Vocab:
    """The vocabulary of a part of the rows (m,) int32, and of the ids that its arrays hold for rows below 0.

    These are removed from the arrays. Raises DataError when they do not fit.
    """
    if (rows >= 0).all():
        return vocab.take(rows)
    packed = {name: own.pop(name) for name in [*own] if name.startswith(f"{_FURTHER}_")}
    further = unpack_ids(packed, _FURTHER) if packed else vocab.take(np.zeros(0, dtype=np.int64))
    known = further.integer != vocab.integer or bool((vocab.rows(further.ids) >= 0).any())
    if known or len(further) != (rows < 0).sum():
        raise DataError(f"the items of part {part} that the composite lacks must have an id each, which it lacks")
    ids = vocab.ids[rows]
    ids[rows < 0] = further.ids
    return Vocab(ids)


def _proposing(model: Model, similar: bool) -> Model:
    """The model as it proposes candidates: a vector model of similar items compares as `embedrec similar` does."""
    return model.by_similarity() if similar and isinstance(model, VectorModel) else model


def _searching(model: Model, cells: np.ndarray | None) -> Model:
    """The model with an index of `pack_parts`, if there is one. Raises DataError when it does not fit."""
    if cells is None:
        return model
    if not isinstance(model, VectorModel):
        raise DataError(f"a part of {model.recipe.name} has no vectors, and cannot have an index of them")
    return load_cells(model, cells)
