"""The card of exported vectors: written from the manifest, with valid YAML and without paths."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from embedrec.models.serialization import load_model
from embedrec.storage.workspace import Workspace
from embedrec.workflows.hub_export import export_hub_folder
from embedrec.workflows.train import import_vectors
from tests.workflows.toy_models import many_sessions, train_toy


def test_a_card_describes_the_training_of_the_vectors(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    many_sessions().save(workspace.folder("sessions", "all"), {"sessions": 80, "events": 400, "items": 26})
    model = train_toy(workspace, "word2vec")
    source = workspace.find("model", "word2vec")
    export_hub_folder(workspace, source, tmp_path / "hub")
    card = (tmp_path / "hub" / "README.md").read_text()
    _, front, body = card.split("---\n", 2)
    assert yaml.safe_load(front) == {
        "library_name": "embedrec",
        "tags": ["embeddings", "recommender-system", "similar-items", "word2vec"],
        "pipeline_tag": "feature-extraction",
    }
    assert body.startswith(
        "\n# word2vec\n\n26 item vectors of 8 dimensions.\n\n- Recipe: `word2vec`, item vectors from"
    )
    assert "- Trained on 80 sessions, 400 events, 26 items\n" in body and "| dim | `8` |" in body
    assert source.fingerprint in body and str(tmp_path) not in card and "Validation" not in body
    config = json.loads((tmp_path / "hub" / "config.json").read_text())
    assert config["settings"]["dim"] == 8 and config["metric"] == "dot" and config["vectors"] == 26
    loaded = load_model(import_vectors(tmp_path / "hub", workspace.folder("model", "back")))
    assert loaded.vocab.ids.tolist() == model.vocab.ids.tolist()
    assert loaded.vocab.counts is not None and model.vocab.counts is not None
    assert loaded.vocab.counts.tolist() == model.vocab.counts.tolist()


def test_a_card_contains_the_validation_of_the_best_epoch(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    many_sessions().save(workspace.folder("sessions", "all"), {})
    train_toy(workspace, "gru4rec")
    source = workspace.find("model", "gru4rec")
    source.about["epochs"] = [{"recall@20": 0.5, "mrr@20": 0.25, "loss": 3.0}, {"recall@20": 0.25, "mrr@20": 0.125}]
    export_hub_folder(workspace, source, tmp_path / "hub")
    card = (tmp_path / "hub" / "README.md").read_text()
    assert "- Validation (held-out last items of training sessions): recall@20 0.5000, mrr@20 0.2500\n" in card
