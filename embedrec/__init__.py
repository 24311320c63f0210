"""embedrec: similar items, neighbouring sessions and next items from sessions of items.

`import embedrec` is cheap: a public name imports its module at its first use. The package itself imports nothing but
its version, since `python -m embedrec` runs it while the current folder is still on the module path. Its recipes are
those of `embedrec.models.MODELS`. Type checkers read `__init__.pyi`, which `scripts/registries.py` writes.
"""

from embedrec.version import __version__ as __version__

_MODULES = {  # of the public names that are not recipes
    "BuiltIndex": "embedrec.pipeline.steps",
    "Callback": "embedrec.training.callbacks",
    "Embeddings": "embedrec.vectors.embeddings",
    "EmbedrecError": "embedrec.errors",
    "Events": "embedrec.data",
    "Features": "embedrec.data",
    "Index": "embedrec.index.index",
    "MLflowCallback": "embedrec.training.callbacks",
    "PreparedSessions": "embedrec.pipeline.steps",
    "ResultTable": "embedrec.pipeline.results",
    "Sessions": "embedrec.data",
    "TensorBoardCallback": "embedrec.training.callbacks",
    "TopK": "embedrec.data.topk",
    "TrainedModel": "embedrec.pipeline.steps",
    "Vocab": "embedrec.data",
    "WandbCallback": "embedrec.training.callbacks",
    "Workspace": "embedrec.storage.workspace",
    "build_index": "embedrec.index.build",
    "load_index": "embedrec.index.serialization",
    "load_model": "embedrec.models.serialization",
    "prepare": "embedrec.pipeline.prepare",
    "save_index": "embedrec.index.serialization",
    "save_model": "embedrec.models.serialization",
    "write_similarity": "embedrec.export.similarity_file",
}


def _public() -> dict[str, str]:
    """Public name → its module, in alphabetical order."""
    from embedrec.models import MODELS

    recipes = {name: module for module, _, name in (entry.path.partition(":") for entry in MODELS.values())}
    return dict(sorted({**_MODULES, **recipes}.items()))


def __getattr__(name: str) -> object:
    if name == "__all__":
        return sorted([*_public(), "__version__"])
    modules = _MODULES if name in _MODULES else _public()
    if name not in modules:
        raise AttributeError(f"module 'embedrec' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(modules[name]), name)


def __dir__() -> list[str]:
    return sorted([*_public(), "__version__"])
