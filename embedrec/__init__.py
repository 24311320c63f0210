"""embedrec: similar items, neighbouring sessions and next items from sessions of items.

The public names load what they need when they are first asked for, so that `import embedrec` is cheap. The package
itself imports nothing: `python -m embedrec` runs it while the current folder is still on the module path.
"""

TYPE_CHECKING = False  # as `typing` has it
if TYPE_CHECKING:
    from typing import Any

    from embedrec.data import Events, Features, Sessions, Vocab
    from embedrec.embeddings import Embeddings
    from embedrec.errors import EmbedrecError
    from embedrec.export.similarity import write_similarity
    from embedrec.index.building import build_index
    from embedrec.index.files import load_index, save_index
    from embedrec.index.index import Index
    from embedrec.models.cooccurrence import Cooccurrence
    from embedrec.models.files import load_model, save_model
    from embedrec.models.gru4rec import GRU4Rec
    from embedrec.models.popular import Popular
    from embedrec.models.random import Random
    from embedrec.models.rules import AssociationRules, SequentialRules
    from embedrec.models.svd import Spectral
    from embedrec.models.two_tower import TwoTower
    from embedrec.models.word2vec import Word2Vec
    from embedrec.topk import TopK
    from embedrec.workspace import Workspace

__version__ = "0.1.0"

_HOME = {
    "AssociationRules": "embedrec.models.rules",
    "Cooccurrence": "embedrec.models.cooccurrence",
    "Embeddings": "embedrec.embeddings",
    "EmbedrecError": "embedrec.errors",
    "Events": "embedrec.data",
    "Features": "embedrec.data",
    "GRU4Rec": "embedrec.models.gru4rec",
    "Index": "embedrec.index.index",
    "Popular": "embedrec.models.popular",
    "Random": "embedrec.models.random",
    "SequentialRules": "embedrec.models.rules",
    "Sessions": "embedrec.data",
    "Spectral": "embedrec.models.svd",
    "TopK": "embedrec.topk",
    "TwoTower": "embedrec.models.two_tower",
    "Vocab": "embedrec.data",
    "Word2Vec": "embedrec.models.word2vec",
    "Workspace": "embedrec.workspace",
    "build_index": "embedrec.index.building",
    "load_index": "embedrec.index.files",
    "load_model": "embedrec.models.files",
    "save_index": "embedrec.index.files",
    "save_model": "embedrec.models.files",
    "write_similarity": "embedrec.export.similarity",
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
