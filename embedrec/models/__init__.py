"""Recipes and models. A recipe is a frozen dataclass of settings; its `fit` returns an immutable model.

`MODELS` is the only list of recipes: the command line, the public names of the package, and the tests use it. A new
model is one file and one line here. `scripts/registries.py` writes what is generated from it.

Beside its settings a recipe may declare, as class variables:

SPACE     where `tune` searches, see `embedrec.tune.search_space`
SMALL     settings that train on a few sessions within a second, for tests
VARIANTS  further settings, over those of SMALL, under which the tests of all models run too

A model class whose lists may end before k, as it ranks only the items it has evidence for, declares PARTIAL = True.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedrec.config import Entry, resolve


@dataclass(frozen=True)
class ModelEntry(Entry):
    """A recipe.

    warm_start       a `WarmStartRecipe`: its `fit` continues a finished model
    item_neighbours  `similar` and `export` use its models by default, as lists of item neighbours without an index
    """

    warm_start: bool = False
    item_neighbours: bool = False


MODELS: dict[str, ModelEntry] = {
    "word2vec": ModelEntry(
        "embedrec.models.word2vec.recipe:Word2Vec", "item vectors from items of the same sessions", warm_start=True
    ),
    "cooccurrence": ModelEntry(
        "embedrec.models.cooccurrence.cooccurrence:Cooccurrence",
        "lists of co-occurring items; `similar` needs no index",
        item_neighbours=True,
        warm_start=True,
    ),
    "svd": ModelEntry(
        "embedrec.models.cooccurrence.svd:Spectral",
        "item vectors: eigenvectors of co-occurrence counts",
        warm_start=True,
    ),
    "mf": ModelEntry(
        "embedrec.models.factorization.mf:MatrixFactorisation",
        "matrix factorisation: ALS, BPR or logistic loss",
        warm_start=True,
    ),
    "popular": ModelEntry(
        "embedrec.models.baselines.popular:Popular",
        "the most frequent items, over all time or recently",
        warm_start=True,
    ),
    "random": ModelEntry("embedrec.models.baselines.random:Random", "random items"),
    "projection": ModelEntry(
        "embedrec.models.session_knn.projection:Projection",
        "session vectors whose cosine is that of session kNN",
        warm_start=True,
    ),
    "ar": ModelEntry(
        "embedrec.models.baselines.rules:AssociationRules",
        "association rules: items that share sessions with the last",
        warm_start=True,
    ),
    "sr": ModelEntry(
        "embedrec.models.baselines.rules:SequentialRules",
        "sequential rules: items that soon follow the last",
        warm_start=True,
    ),
    "sknn": ModelEntry(
        "embedrec.models.session_knn.variants:SKNN",
        "session kNN over sets of items; also S-SKNN and SF-SKNN",
        warm_start=True,
    ),
    "vsknn": ModelEntry(
        "embedrec.models.session_knn.variants:VSKNN",
        "session kNN, recent items of the session weigh more",
        warm_start=True,
    ),
    "stan": ModelEntry(
        "embedrec.models.session_knn.variants:STAN",
        "session kNN with decay by position and by session age",
        warm_start=True,
    ),
    "vstan": ModelEntry(
        "embedrec.models.session_knn.variants:VSTAN", "STAN, rare and recent shared items weigh more", warm_start=True
    ),
    "vmis": ModelEntry(
        "embedrec.models.session_knn.variants:VMIS",
        "session kNN over a bounded index of sessions (Serenade)",
        warm_start=True,
    ),
    "sscf": ModelEntry(
        "embedrec.models.session_knn.variants:SSCF", "session-based CF: play counts are ratings", warm_start=True
    ),
    "wsknn": ModelEntry(
        "embedrec.models.session_knn.wsknn:WSKNN",
        "session kNN with weights of events, as the package wsknn",
        warm_start=True,
    ),
    "two-tower": ModelEntry(
        "embedrec.models.two_tower.recipe:TwoTower",
        "towers of items and of histories, users, features (torch)",
        warm_start=True,
    ),
    "neural-cf": ModelEntry(
        "embedrec.models.factorization.neural_cf:NeuralCF",
        "a perceptron over session and item vectors (torch)",
        warm_start=True,
    ),
    "gru4rec": ModelEntry(
        "embedrec.models.gru4rec.recipe:GRU4Rec", "a recurrent network over sessions (torch)", warm_start=True
    ),
    "sasrec": ModelEntry(
        "embedrec.models.transformer.recipe:SASRec", "self-attention over sessions (torch)", warm_start=True
    ),
    "fusion": ModelEntry("embedrec.ranking.fusion:Fusion", "the lists of several models as one, by weighted sums"),
    "ranker": ModelEntry("embedrec.ranking.ranker:Ranker", "candidates of several models, ranked by boosted trees"),
}
# with `vectors`, the models that `embedrec vectors import` makes of files
SAVED_MODELS: Mapping[str, ModelEntry] = ChainMap(
    {"vectors": ModelEntry("embedrec.models.imported:Vectors", "item vectors of a file")}, MODELS
)


def recipe_class(name: str) -> Any:
    """The recipe of that name. Raises SettingsError, with near misses, when there is none."""
    return resolve(MODELS, name, "model")


def settings_class(name: str) -> Any:
    """The class that restores saved models of that name: a recipe, or `vectors`."""
    return resolve(SAVED_MODELS, name, "model")
