"""Manifests whose checksums fit, and whose numbers no artifact of ours has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import ArtifactError
from embedrec.storage import artifacts, manifest_schema
from tests.test_corruption import sign

MADE: dict[str, dict[str, Any]] = {
    "sessions": {"sessions": 3, "items": 2, "events": 9, "seconds": 0.5, "source": "table", "split": {}, "of": {}},
    "model": {"recipe": "ar", "settings": {}, "items": 3, "arrays": ["items"], "seed": 0, "epochs": [{"loss": 0.5}]},
    "index": {"spec": "Flat", "metric": "cosine", "items": 3, "facts": {"recall@20": 1}, "seed": None, "of": "items"},
    "publication": {"generation": 3, "published": "x"},
}
MADE["sessions"] |= {"split": {"rule": "last-item", "settings": {}}, "of": {"name": "x", "fingerprint": "f"}}
WRONG: list[tuple[str, str, Any]] = [
    ("sessions", "sessions", "3"), ("sessions", "events", -1), ("sessions", "items", 1.5), ("sessions", "split", 5),
    ("sessions", "split", {"rule": 5, "settings": {}}), ("sessions", "of", "x"), ("sessions", "removed", [5]),
    ("model", "recipe", 5), ("model", "recipe", None), ("model", "settings", []), ("model", "arrays", "items"),
    ("model", "arrays", [5]), ("model", "items", None), ("model", "seed", [1]), ("model", "seed", -1),
    ("model", "epochs", 5), ("model", "epochs", [{"loss": "x"}]), ("model", "trained_on", {"name": 5}),
    ("model", "trained_on", "x"), ("model", "seconds", "x"),
    ("index", "spec", None), ("index", "metric", "taxi"), ("index", "nprobe", -1), ("index", "ef_search", 2**40),
    ("index", "rerank", 1.5), ("index", "facts", []), ("index", "facts", {"recall_low": "x"}),
    ("index", "facts", {"recall@20": None}), ("index", "facts", {"query_ms_p50": [1]}),
    ("index", "facts", {"promise": {}}), ("index", "facts", {"promise": {"recall": 2, "k": 20}}),
    ("index", "facts", {"promise": {"recall": 0.9, "k": 0}}), ("index", "seed", [1]), ("index", "of", "poems"),
    ("index", "facts", {"promise": {"recall": 0.9, "k": 20, "more": 1}}), ("index", "indexed", 5),
    ("index", "popularity", 2), ("index", "longest", -1), ("index", "weights", "x"), ("index", "changes", 5),
    ("publication", "generation", "x"), ("publication", "published", 5),
]  # fmt: skip


def written(folder: Path, kind: str, about: dict[str, Any]) -> Path:
    with artifacts.writing(folder, kind, about):
        pass
    return folder


@pytest.mark.parametrize(("kind", "key", "value"), WRONG)
def test_invalid_values_of_a_manifest_are_refused(kind: str, key: str, value: Any, tmp_path: Path) -> None:
    folder = written(tmp_path / "x", kind, MADE[kind] | {"more": ["of the", {"user": None}]})
    assert artifacts.read(folder).about["more"]
    sign(folder, lambda manifest: manifest["about"].update({key: value}))
    with pytest.raises(ArtifactError, match=rf"contains an invalid value \(.*\$\.{key}.*\); write") as raised:
        artifacts.read(folder)
    assert str(folder) in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**400])
def test_integers_beyond_64_bits_are_refused(number: int, tmp_path: Path) -> None:
    folder = written(tmp_path / "x", "poem", {"more": [{"deep": 0}]})
    sign(folder, lambda manifest: manifest["about"].update(more=[{"deep": number}]))
    with pytest.raises(ArtifactError, match=r"contains an invalid value \(-?\d{1,20} does not fit into 64 bits\)"):
        artifacts.read(folder)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" * 5000])
def test_invalid_json_numbers_are_refused(number: str, tmp_path: Path) -> None:
    folder = written(tmp_path / "x", "poem", {"more": 123456})
    path = folder / artifacts.MANIFEST
    path.write_text(path.read_text().replace("123456", number))
    with pytest.raises(ArtifactError, match=r"manifest\.json is damaged \(.*(not a valid number|limit)") as raised:
        artifacts.read(folder)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("created", ["", "yesterday", "2026-13-01T00:00:00+00:00", "2026-01-01T00:00:00", "x" * 10_000])
def test_invalid_creation_times_are_refused(created: str, tmp_path: Path) -> None:
    folder = written(tmp_path / "x", "poem", {})
    sign(folder, lambda manifest: manifest.update(created=created))
    with pytest.raises(ArtifactError, match="contains an invalid value") as raised:
        artifacts.read(folder)
    assert len(str(raised.value)) < 400


def test_valid_numbers_are_parsed() -> None:
    values = {"a": 18446744073709551615, "b": -(2**63), "c": 1.5e300, "d": -0.25, "e": [True, None]}
    assert manifest_schema.parse(json.dumps(values).encode()) == values


def test_golden_manifests_are_valid() -> None:
    result = list((Path(__file__).parents[1] / "golden").rglob("manifest.json"))
    assert result
    for path in result:
        manifest = manifest_schema.parse(path.read_bytes())
        manifest_schema.check_about(manifest["kind"], manifest["about"])
        manifest_schema.check_created(manifest["created"])
