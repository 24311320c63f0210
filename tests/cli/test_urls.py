"""Commands that read files at URLs, from a server of the S3 protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedrec.storage import artifacts
from tests.cli.conftest import LOG, Run, fails, succeed
from tests.storage.s3 import s3_server


def test_tables_at_urls(run: Run, counted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    features = "item,colour\na,red\nb,blue\n"
    objects = {"logs/log.csv": LOG, "logs/carts.csv": "session,item\n7,a\n", "logs/items.csv": features}
    with s3_server({name: content.encode() for name, content in objects.items()}) as options:
        urls = {name: f"s3a://logs/{name}.csv{options}" for name in ("log", "carts", "items")}
        there = succeed(run, "prepare", "table", urls["log"], "--name", "there", "--item-features", urls["items"])
        here = succeed(run, "prepare", "table", "log.csv", "--name", "here")
        assert there.out.split("\t")[:3] == here.out.split("\t")[:3] and "s3cret" not in there.out + there.err
        assert Path("sessions/there/items.npy").read_bytes() == Path("sessions/here/items.npy").read_bytes()
        Path("carts.csv").write_text(objects["logs/carts.csv"])
        words = ("--of", "recommendations", "--model", "cooccurrence", "--histories")
        succeed(run, "export", "a.tsv", *words, "carts.csv")
        succeed(run, "export", "b.tsv", *words, urls["carts"], "--attributes", urls["items"], "--where", "colour!=red")
        assert Path("a.tsv").read_text().startswith(Path("b.tsv").read_text()) and Path("b.tsv").read_text()
        message = fails(run, "prepare", "table", f"s3a://secret/log.csv{options}")
        assert message.startswith("s3a://secret/log.csv?") and " may not be read (" in message
    assert fails(run, "prepare", "table", "ftp://h/log.csv").startswith("ftp:// is not a scheme of files that can be")


def test_vectors_are_imported_from_urls(
    run: Run, compass: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files with their ids and metadata, and a folder: the models are those of the files on the disk."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    at = ("--workspace", compass)
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("v.npy", "v.parquet"):
        succeed(run, "vectors", "export", folder / name, "--model", "compass", *at)
    succeed(run, "vectors", "export", "--to", folder / "hub", "--model", "compass", *at)
    objects = {f"b/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with s3_server(objects) as options:
        for name in ("v.npy", "v.parquet", "hub"):
            succeed(run, "vectors", "import", folder / name, "--name", "local", *at)
            result = succeed(run, "vectors", "import", f"s3://b/{name}{options}", "--name", "remote", *at)
            assert result.err.splitlines()[-1] == f"wrote model remote ({compass}/models/remote)"
            models = [artifacts.read(compass / "models" / model, "model") for model in ("local", "remote")]
            assert models[0].files == models[1].files
            assert models[1].about["file"] == f"s3://b/{name}{options}"
        assert fails(run, "vectors", "import", f"s3://b/none.npy{options}", *at) == (
            "no file s3://b/none.npy?endpoint_override=***&scheme=***&region=***; check the address"
        )
    assert not [path for path in (compass / "models").iterdir() if path.name.startswith(".")]
