"""`embedrec vectors`: import and export of item vectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from embedrec.models.serialization import load_item_vectors
from embedrec.storage import artifacts
from tests.cli.conftest import Run, fails, succeed


@pytest.mark.parametrize("suffix", ["txt", "bin", "npy", "safetensors", "parquet", "fvecs", "fbin"])
def test_exported_vectors_are_imported_unchanged(run: Run, compass: Path, suffix: str) -> None:
    at, file = ("--workspace", compass), compass / f"directions.{suffix}"
    result = succeed(run, "vectors", "export", file, "--model", "compass", *at)
    assert result.out == ""
    assert f"wrote 6 × 2 vectors to {file}" in result.err.splitlines()
    succeed(run, "vectors", "import", file, "--name", "back", *at)
    exported, imported = (
        load_item_vectors(artifacts.read(compass / "models" / name, "model")) for name in ("compass", "back")
    )
    assert imported.vocab.ids.tolist() == exported.vocab.ids.tolist()
    assert imported.vectors.tolist() == exported.vectors.tolist()
    succeed(run, "build-index", "--type", "flat", "--model", "back", *at)
    results = [succeed(run, "similar", "east", "--index", name, *at).out for name in ("compass-flat", "back-flat")]
    assert results[0] == results[1]


def test_an_import_notes_the_metric(run: Run, compass: Path) -> None:
    file = compass / "compass.txt"
    result = succeed(run, "vectors", "import", file, "--workspace", compass)
    assert result.out == ""
    assert result.err.splitlines() == [
        f"{file} has no metric; using cosine, which --metric overrides",
        f"wrote model compass ({compass}/models/compass)",
    ]
    result = succeed(run, "vectors", "import", file, "--metric", "l2", "--name", "distances", "--workspace", compass)
    assert result.err == f"wrote model distances ({compass}/models/distances)\n"
    about = json.loads(succeed(run, "info", "distances", "--json", "--workspace", compass).out)
    assert (about["settings"]["metric"], about["metric_from"]) == ("l2", "given")


def test_a_new_import_makes_the_index_stale(run: Run, compass: Path) -> None:
    result = succeed(run, "vectors", "import", compass / "compass.txt", "--metric", "dot", "--workspace", compass)
    assert result.err.splitlines()[-1] == "index compass-flat derives from the old model compass and is now stale"


def test_the_metadata_file_records_the_metric(run: Run, compass: Path) -> None:
    """The metric of the model is read from the metadata file when the vectors are imported again."""
    at, file = ("--workspace", compass), compass / "v.npy"
    succeed(run, "vectors", "import", compass / "compass.txt", "--metric", "dot", "--name", "products", *at)
    result = succeed(run, "vectors", "export", file, "--model", "products", *at)
    metadata = compass / "v.npy.meta.json"
    assert result.err.splitlines()[-1] == (
        f"wrote the metric and the encoding of ids to {metadata}; keep it next to v.npy"
    )
    assert succeed(run, "vectors", "import", file, *at).err == f"wrote model v ({compass}/models/v)\n"
    assert json.loads(succeed(run, "info", "v", "--json", *at).out)["settings"]["metric"] == "dot"


def test_ids_with_spaces_are_encoded(run: Run, compass: Path) -> None:
    at, file = ("--workspace", compass), compass / "spaces.txt"
    file.write_text("2 2\nfar%20north 0 1\nsouth 0 -1\n")
    succeed(run, "vectors", "import", file, "--encoded", *at)
    model = artifacts.read(compass / "models" / "spaces", "model")
    assert load_item_vectors(model).vocab.ids.tolist() == ["far north", "south"]
    copy = compass / "copy.txt"
    message = fails(run, "vectors", "export", copy, "--model", "spaces", *at)
    assert "'far north'" in message and not copy.exists()
    succeed(run, "vectors", "export", copy, "--model", "spaces", "--whitespace", "encode", *at)
    assert copy.read_text().splitlines()[1].startswith("far%20north ")


def test_invalid_requests_are_refused(run: Run, compass: Path) -> None:
    workspace = ("--workspace", compass)
    assert "absent.txt" in fails(run, "vectors", "import", compass / "absent.txt", *workspace)
    assert fails(run, "vectors", "export", compass / "v.npy", "--model", "compas", *workspace) == (
        f"no model artifact is called 'compas' in {compass}/models; did you mean 'compass'?"
    )
    assert "no command 'imprt'; did you mean 'import'?" in fails(run, "vectors", "imprt", code=2)
    assert not (compass / "v.npy").exists()


def test_an_encoder_is_exported_in_onnx_format(run: Run, counted: Path) -> None:
    succeed(run, "train", "two-tower", "--set", "epochs=1", "--set", "dim=4")
    result = succeed(run, "vectors", "export-encoder", "encoder.onnx")
    assert result.out == ""
    assert result.err.splitlines() == [
        "using model two-tower (models/two-tower)",
        "wrote the encoder to encoder.onnx and the ids of its rows to encoder.ids.txt",
    ]
    assert Path("encoder.onnx").is_file() and len(Path("encoder.ids.txt").read_text().splitlines()) > 1
    succeed(run, "train", "popular")
    assert fails(run, "vectors", "export-encoder", "other.onnx") == (
        "model popular (popular) has no ONNX encoder; those of two-tower, gru4rec, sasrec have one"
    )


def test_a_folder_for_the_hub_is_written(run: Run, compass: Path) -> None:
    at, folder = ("--workspace", compass), compass / "hub"
    result = succeed(run, "vectors", "export", "--to", folder, *at)
    assert (
        result.out == "" and result.err.splitlines()[-1] == f"wrote 6 × 2 vectors, their items and a card to {folder}"
    )
    assert sorted(f.name for f in folder.iterdir()) == [
        "README.md",
        "config.json",
        "items.jsonl",
        "vectors.safetensors",
    ]
    assert (
        f"wrote model back ({compass}/models/back)"
        in succeed(run, "vectors", "import", folder, "--name", "back", *at).err
    )
    assert "name either a FILE or --to FOLDER" in fails(run, "vectors", "export", *at, code=2)
    assert "name either a FILE or --to FOLDER" in fails(run, "vectors", "export", "v.npy", "--to", folder, *at, code=2)
    assert "--to writes safetensors" in fails(run, "vectors", "export", "--to", folder, "--format", "npy", *at, code=2)


def test_a_model_is_aligned_with_another(run: Run, compass: Path) -> None:
    at = ("--workspace", compass)
    turned = compass / "turned.txt"
    lines = (compass / "compass.txt").read_text().splitlines()
    rows = [line.split(" ") for line in lines[1:]]
    turned.write_text("\n".join([lines[0], *(f"{i} {-float(y)} {x}" for i, x, y in rows)]) + "\n")
    succeed(run, "vectors", "import", turned, *at)
    result = succeed(run, "vectors", "align", "turned", "--to", "compass", "--name", "back", *at)
    assert result.rows == [["back", "6", "1.0000", "1.0000", "1.0000"]]
    assert f"wrote model back ({compass}/models/back)" in result.err.splitlines()
    before, after = (load_item_vectors(artifacts.read(compass / "models" / n)).vectors for n in ("compass", "back"))
    assert abs(before - after).max() < 1e-6
    message = fails(run, "vectors", "align", "back", "--to", "compass", *at)
    assert message.startswith("models back and compass are in the same space (")
    space = artifacts.read(compass / "models" / "compass").fingerprint
    succeed(run, "vectors", "export", compass / "same.txt", "--model", "back", "--space", space[:8], *at)
    message = fails(run, "vectors", "export", compass / "same.txt", "--model", "turned", "--space", space, *at)
    assert message.startswith(f"'{space}' is none of the spaces that model turned can serve; name one of ")
    folder = ("vectors", "export", "--to", compass / "hub", "--space", space)
    assert "leave --space out" in fails(run, *folder, *at, code=2)
