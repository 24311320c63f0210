"""Recipes and models. A recipe is a frozen dataclass of settings; its `fit` gives an immutable model.

`MODELS` names every recipe; a new model is one file and one line here.
"""

from __future__ import annotations

from typing import Any

from embedrec.config import resolve

MODELS: dict[str, str] = {
    "word2vec": "embedrec.models.word2vec.recipe:Word2Vec",
    "cooccurrence": "embedrec.models.cooccurrence.cooccurrence:Cooccurrence",
    "svd": "embedrec.models.cooccurrence.svd:Spectral",
    "mf": "embedrec.models.factorization.mf:MatrixFactorisation",
    "popular": "embedrec.models.baselines.popular:Popular",
    "random": "embedrec.models.baselines.random:Random",
    "projection": "embedrec.models.session_knn.projection:Projection",
    "ar": "embedrec.models.baselines.rules:AssociationRules",
    "sr": "embedrec.models.baselines.rules:SequentialRules",
    "sknn": "embedrec.models.session_knn.variants:SKNN",
    "vsknn": "embedrec.models.session_knn.variants:VSKNN",
    "stan": "embedrec.models.session_knn.variants:STAN",
    "vstan": "embedrec.models.session_knn.variants:VSTAN",
    "vmis": "embedrec.models.session_knn.variants:VMIS",
    "sscf": "embedrec.models.session_knn.variants:SSCF",
    "wsknn": "embedrec.models.session_knn.wsknn:WSKNN",
    "two-tower": "embedrec.models.two_tower.recipe:TwoTower",
    "neural-cf": "embedrec.models.factorization.neural_cf:NeuralCF",
    "gru4rec": "embedrec.models.gru4rec.recipe:GRU4Rec",
}
# recipes whose models are lists of item neighbours, asked as they are; others that know neighbours have other uses
ITEM_NEIGHBOUR_MODELS = ("cooccurrence",)
WARM_START = ("word2vec",)  # recipes whose `fit` continues a finished model, with the settings of their `continuing()`
SAVED_MODELS: dict[str, str] = {**MODELS, "vectors": "embedrec.models.imported:Vectors"}


def recipe_class(name: str) -> Any:
    """The recipe of that name. Raises SettingsError, with near misses, when there is none."""
    return resolve(MODELS, name, "model")


def settings_class(name: str) -> Any:
    """What restores saved models of that name: a recipe, or `vectors`, which came from a file."""
    return resolve(SAVED_MODELS, name, "model")
