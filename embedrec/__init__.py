"""embedrec: similar items, neighbouring sessions and next items from sessions of items.

The public names load what they need when they are first asked for, so that `import embedrec` is cheap. The package
itself imports nothing but its version: `python -m embedrec` runs it while the current folder is still on the module
path.
"""

from embedrec.version import __version__

TYPE_CHECKING = False  # as `typing` has it
if TYPE_CHECKING:
    from typing import Any

    from embedrec.data import Events, Features, Sessions, Vocab
    from embedrec.data.topk import TopK
    from embedrec.errors import EmbedrecError
    from embedrec.export.similarity_file import write_similarity
    from embedrec.index.build import build_index
    from embedrec.index.index import Index
    from embedrec.index.serialization import load_index, save_index
    from embedrec.models.baselines.popular import Popular
    from embedrec.models.baselines.random import Random
    from embedrec.models.baselines.rules import AssociationRules, SequentialRules
    from embedrec.models.cooccurrence.cooccurrence import Cooccurrence
    from embedrec.models.cooccurrence.svd import Spectral
    from embedrec.models.gru4rec.recipe import GRU4Rec
    from embedrec.models.serialization import load_model, save_model
    from embedrec.models.two_tower.recipe import TwoTower
    from embedrec.models.word2vec.recipe import Word2Vec
    from embedrec.storage.workspace import Workspace
    from embedrec.vectors.embeddings import Embeddings


_HOME = {
    "AssociationRules": "embedrec.models.baselines.rules",
    "Cooccurrence": "embedrec.models.cooccurrence.cooccurrence",
    "Embeddings": "embedrec.vectors.embeddings",
    "EmbedrecError": "embedrec.errors",
    "Events": "embedrec.data",
    "Features": "embedrec.data",
    "GRU4Rec": "embedrec.models.gru4rec.recipe",
    "Index": "embedrec.index.index",
    "Popular": "embedrec.models.baselines.popular",
    "Random": "embedrec.models.baselines.random",
    "SequentialRules": "embedrec.models.baselines.rules",
    "Sessions": "embedrec.data",
    "Spectral": "embedrec.models.cooccurrence.svd",
    "TopK": "embedrec.data.topk",
    "TwoTower": "embedrec.models.two_tower.recipe",
    "Vocab": "embedrec.data",
    "Word2Vec": "embedrec.models.word2vec.recipe",
    "Workspace": "embedrec.storage.workspace",
    "build_index": "embedrec.index.build",
    "load_index": "embedrec.index.serialization",
    "load_model": "embedrec.models.serialization",
    "save_index": "embedrec.index.serialization",
    "save_model": "embedrec.models.serialization",
    "write_similarity": "embedrec.export.similarity_file",
}

__all__ = [
    "AssociationRules",
    "Cooccurrence",
    "Embeddings",
    "EmbedrecError",
    "Events",
    "Features",
    "GRU4Rec",
    "Index",
    "Popular",
    "Random",
    "SequentialRules",
    "Sessions",
    "Spectral",
    "TopK",
    "TwoTower",
    "Vocab",
    "Word2Vec",
    "Workspace",
    "__version__",
    "build_index",
    "load_index",
    "load_model",
    "save_index",
    "save_model",
    "write_similarity",
]


def __getattr__(name: str) -> "Any":
    if name not in _HOME:
        raise AttributeError(f"module 'embedrec' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
