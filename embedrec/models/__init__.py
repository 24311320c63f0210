"""Recipes and models. A recipe is a frozen dataclass of settings; its `fit` gives an immutable model.

`MODELS` names every recipe; a new model is one file and one line here.
"""

from __future__ import annotations

from typing import Any

from embedrec.registry import resolve

MODELS: dict[str, str] = {
    "word2vec": "embedrec.models.word2vec:Word2Vec",
    "cooccurrence": "embedrec.models.cooccurrence:Cooccurrence",
    "svd": "embedrec.models.svd:Spectral",
    "mf": "embedrec.models.mf:MatrixFactorisation",
    "popular": "embedrec.models.popular:Popular",
    "random": "embedrec.models.random:Random",
    "projection": "embedrec.models.projection:Projection",
    "ar": "embedrec.models.rules:AssociationRules",
    "sr": "embedrec.models.rules:SequentialRules",
    "sknn": "embedrec.models.session_knn_recipes:SKNN",
    "vsknn": "embedrec.models.session_knn_recipes:VSKNN",
    "stan": "embedrec.models.session_knn_recipes:STAN",
    "vstan": "embedrec.models.session_knn_recipes:VSTAN",
    "vmis": "embedrec.models.session_knn_recipes:VMIS",
    "sscf": "embedrec.models.session_knn_recipes:SSCF",
    "wsknn": "embedrec.models.wsknn:WSKNN",
    "two-tower": "embedrec.models.two_tower:TwoTower",
    "neural-cf": "embedrec.models.neural_cf:NeuralCF",
    "gru4rec": "embedrec.models.gru4rec:GRU4Rec",
}
# recipes whose models are lists of item neighbours, asked as they are; others that know neighbours have other uses
NEIGHBOURLY = ("cooccurrence",)
WARM_START = ("word2vec",)  # recipes whose `fit` continues a finished model, with the settings of their `continuing()`
RESTORERS: dict[str, str] = {**MODELS, "vectors": "embedrec.models.vectors:Vectors"}


def recipe_class(name: str) -> Any:
    """The recipe of that name. Raises SettingsError, with near misses, when there is none."""
    return resolve(MODELS, name, "model")


def restorer_class(name: str) -> Any:
    """What restores saved models of that name: a recipe, or `vectors`, which came from a file."""
    return resolve(RESTORERS, name, "model")
