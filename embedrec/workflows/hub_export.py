"""Export the item vectors of a model to a folder for the Hugging Face hub, with a card made from its manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from embedrec.models import SAVED_MODELS
from embedrec.models.serialization import load_item_vectors
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.hub_folder import VECTORS, save_hub_folder

_COUNTS = ("sessions", "events", "items")


def export_hub_folder(workspace: Workspace, source: Artifact, folder: Path) -> Embeddings:
    """Write the vectors of a model artifact, their items and a card to `folder`, and return the vectors.

    The card holds the recipe, its settings, the counts of the training sessions if the workspace still has them, and
    the validation metrics of the epoch that training kept. It holds no path and no session.

    Raises SettingsError for a model without vectors, and when the folder has other files.
    """
    embeddings = load_item_vectors(source)
    config = _config(workspace, source, embeddings)
    save_hub_folder(embeddings, folder, _card(source.name, config), config)
    return embeddings


def _config(workspace: Workspace, source: Artifact, embeddings: Embeddings) -> dict[str, Any]:
    about = source.about
    return {
        "library_name": "embedrec",
        "library_version": source.versions.get("embedrec"),
        "recipe": about["recipe"],
        "settings": about["settings"],
        "vectors": len(embeddings),
        "dim": embeddings.dim,
        "metric": embeddings.metric,
        "trained_on": _training_counts(workspace, about.get("trained_on")),
        "validation": _validation(about),
        "created": source.created,
        "fingerprint": source.fingerprint,
    }


def _training_counts(workspace: Workspace, trained_on: dict[str, Any] | None) -> dict[str, int] | None:
    """The counts of the training sessions; None if the workspace no longer has them."""
    same = [a for a in workspace.artifacts("sessions") if trained_on and a.fingerprint == trained_on["fingerprint"]]
    return {key: same[0].about[key] for key in _COUNTS if key in same[0].about} if same else None


def _validation(about: dict[str, Any]) -> dict[str, float] | None:
    """The validation metrics of the epoch that training kept; None for models that were trained without validation."""
    watch = about["settings"].get("watch")
    epochs = [epoch for epoch in about.get("epochs") or () if watch in epoch]
    if not epochs:
        return None
    best = max(epochs, key=lambda epoch: epoch[watch])
    return {key: value for key, value in best.items() if "@" in key}


def _card(name: str, config: dict[str, Any]) -> str:
    summary = SAVED_MODELS[config["recipe"]].summary
    front = {
        "library_name": "embedrec",
        "tags": ["embeddings", "recommender-system", "similar-items", config["recipe"]],
        "pipeline_tag": "feature-extraction",
    }
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in front.items()), "---", ""]
    lines += [f"# {name}", "", f"{config['vectors']:,} item vectors of {config['dim']} dimensions.", ""]
    lines += [f"- Recipe: `{config['recipe']}`, {summary}", f"- Metric: {config['metric']}"]
    if config["trained_on"]:
        counts = ", ".join(f"{value:,} {key}" for key, value in config["trained_on"].items())
        lines += [f"- Trained on {counts}"]
    if config["validation"]:
        values = ", ".join(f"{key} {value:.4f}" for key, value in config["validation"].items())
        lines += [f"- Validation (held-out last items of training sessions): {values}"]
    lines += [f"- Written {config['created'][:10]}, fingerprint `{config['fingerprint']}`", "", "## Settings", ""]
    lines += ["| setting | value |", "|---|---|"]
    lines += [f"| {key} | `{json.dumps(value)}` |" for key, value in config["settings"].items()]
    lines += ["", "## Use", "", "With embedrec, from a copy of this repository:", "", "```sh"]
    lines += [f"embedrec vectors import FOLDER --name {name}", f"embedrec build-index --model {name}", "```", ""]
    lines += ["With numpy:", "", "```python", "import json", "", "from safetensors.numpy import load_file", ""]
    lines += [f'vectors = load_file("{VECTORS}")["vectors"]  # ({config["vectors"]}, {config["dim"]}) float32']
    lines += ['items = [json.loads(line) for line in open("items.jsonl", encoding="utf-8")]  # of the same rows', "```"]
    return "\n".join(lines) + "\n"
