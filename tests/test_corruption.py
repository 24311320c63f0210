"""Every file of every kind of artifact, damaged in every way: ArtifactError with one sentence, no other exception."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedrec.data import Features, Sessions, Vocab
from embedrec.data.features import Categories, Lists
from embedrec.data.parquet_io import save_ids
from embedrec.errors import ArtifactError
from embedrec.index.build import build_index
from embedrec.index.serialization import load_index, save_index
from embedrec.models.baselines.popular import Popular
from embedrec.models.imported import Vectors
from embedrec.models.serialization import load_model, save_model
from embedrec.splitting.holdout import HeldOut
from embedrec.storage import artifacts, atomic
from embedrec.workflows.verify import verify_artifact
from tests.conftest import some_embeddings, tiny_sessions

KINDS = ("sessions", "split", "popular", "vectors", "flat", "ivf")
LOADERS = {"sessions": lambda a: (Sessions.load(a), HeldOut.load(a)), "model": load_model, "index": load_index}


def sessions_with_all_columns() -> Sessions:
    """Sessions with every column."""
    sessions = tiny_sessions()
    events = np.arange(len(sessions.items))
    users = np.array([f"u{s}" for s in range(len(sessions))], dtype=object)
    words = np.array(["p", "q"], dtype=object)
    m = len(sessions.vocab)
    features = Features(
        sessions.vocab,
        {"year": np.arange(m)},
        {"key": Categories(np.arange(m) % 3 - 1, words)},
        {"tags": Lists(np.arange(m + 1), np.arange(m) % 2, words)},
    )
    return Sessions(
        sessions.offsets,
        sessions.items,
        sessions.vocab,
        sessions.ids,
        events,
        events,
        events,
        users,
        item_features=features,
        user_features=Features(Vocab(users), {"age": np.arange(len(users))}),
    )


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One artifact of each kind, each in two versions: NAME, and NAME-other of another size."""
    root = tmp_path_factory.mktemp("good")
    for suffix, n in (("", 60), ("-other", 50)):
        sessions, embeddings = sessions_with_all_columns(), some_embeddings(n, 4)
        sessions.take(np.arange(len(sessions) - (n == 50))).save(root / f"sessions{suffix}", {"n": n})
        with artifacts.writing(root / f"split{suffix}", "sessions", {"n": n}) as draft:
            sessions.take(np.arange(6 if n == 60 else 1)).drop_unused_items().write(draft)
            HeldOut(sessions.take(np.arange(6, 6 + n // 10)), np.ones(n // 10)).write(draft)
        save_model(
            Popular().fit(sessions if n == 60 else sessions.take(np.arange(3)).drop_unused_items()),
            root / f"popular{suffix}",
            {},
        )
        vectors = Vectors().from_arrays(embeddings.vocab, {"items": embeddings.vectors})
        save_model(vectors, root / f"vectors{suffix}", {})
        save_index(build_index(embeddings, "flat"), root / f"flat{suffix}", {})
        save_index(build_index(some_embeddings(n, 4, "dot"), "IVF4,Flat"), root / f"ivf{suffix}", {})
    return root


@pytest.fixture(params=KINDS)
def folder(request: pytest.FixtureRequest, originals: Path, tmp_path: Path) -> Path:
    """A copy of the artifact of each kind."""
    return Path(shutil.copytree(originals / request.param, tmp_path / request.param))


def load(folder: Path) -> Any:
    artifact = artifacts.read(folder)
    return LOADERS[artifact.kind](artifact)


def assert_refused(folder: Path, text: str = "") -> None:
    """Assert that loading raises ArtifactError and `verify` reports it, in one sentence that names the folder."""
    with pytest.raises(ArtifactError) as error:
        load(folder)
    for message in (str(error.value), verify_artifact(folder) or "no fault found"):
        assert text in message
        assert str(folder) in message
        assert "\n" not in message.strip() and len(message) < 600


def sign(folder: Path, change: Callable[[dict[str, Any]], Any] = lambda manifest: None) -> None:
    """Record the present files in the manifest and renew its digest, as a deliberate forgery would."""
    path = folder / artifacts.MANIFEST
    manifest = json.loads(path.read_bytes())
    for name in manifest["files"]:
        if (folder / name).is_file():
            manifest["files"][name] = artifacts.describe_file(folder / name)
    change(manifest)
    manifest.pop("digest", None)
    manifest["digest"] = artifacts.json_digest(manifest)
    path.write_text(json.dumps(manifest))


def files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Each file with its bytes; it is restored before the next one."""
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        yield path, content
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        path.unlink(missing_ok=True)
        path.write_bytes(content)
    assert verify_artifact(folder) is None


def test_undamaged_artifacts_load(folder: Path) -> None:
    assert verify_artifact(folder) is None
    assert load(folder) is not None


def test_a_missing_file_is_refused(folder: Path) -> None:
    for path, _ in files(folder):
        path.unlink()
        assert_refused(folder, "manifest.json" if path.name == "manifest.json" else f"{path} is missing")


def test_a_truncated_file_is_refused(folder: Path) -> None:
    for path, content in files(folder):
        for size in (0, 1, len(content) // 2, len(content) - 2):
            path.write_bytes(content[:size])
            assert_refused(folder, f"{path} is damaged")


def test_a_flipped_bit_is_refused(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for path, content in files(folder):
        for position in {0, len(content) - 3, *rng.integers(0, len(content) - 3, 10).tolist()}:
            flipped = bytearray(content)
            flipped[position] ^= 1
            path.write_bytes(flipped)
            assert_refused(folder, str(folder))


def test_a_file_of_random_bytes_is_refused(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for path, content in files(folder):
        path.write_bytes(rng.bytes(len(content)))
        assert_refused(folder, f"{path} is damaged")


def test_a_longer_file_is_refused(folder: Path) -> None:
    for path, content in files(folder):
        path.write_bytes(content + b"{}")
        assert_refused(folder, f"{path} is damaged")


def test_links_folders_and_pipes_are_refused(folder: Path, tmp_path: Path) -> None:
    for path, content in files(folder):
        (tmp_path / "elsewhere").write_bytes(content)
        path.unlink()
        path.symlink_to(tmp_path / "elsewhere")
        assert_refused(folder, f"{path} is not a plain file")
        path.unlink()
        path.mkdir()
        assert_refused(folder, f"{path} is not a plain file")
        path.rmdir()
        os.mkfifo(path)
        assert_refused(folder, f"{path} is not a plain file")


def test_swapped_files_are_refused(folder: Path) -> None:
    paths = sorted(folder.iterdir())
    for a, b in pairwise(paths):
        contents = a.read_bytes(), b.read_bytes()
        if contents[0] == contents[1]:
            continue
        a.write_bytes(contents[1])
        b.write_bytes(contents[0])
        assert_refused(folder)
        a.write_bytes(contents[0])
        b.write_bytes(contents[1])


def test_files_of_another_artifact_are_refused(folder: Path, originals: Path) -> None:
    other = originals / f"{folder.name}-other"
    for path, content in files(folder):
        if path.name != "manifest.json" and (other / path.name).read_bytes() != content:
            path.write_bytes((other / path.name).read_bytes())
            assert_refused(folder, f"{path} is damaged")
            sign(folder)
            assert_refused(folder)
            (folder / "manifest.json").write_bytes((originals / folder.name / "manifest.json").read_bytes())


def test_verify_reports_a_file_outside_the_manifest(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    assert load(folder) is not None
    assert verify_artifact(folder) == f"{folder / 'notes.txt'} is not in the manifest; remove it"


def test_unreadable_files_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = atomic.sha256

    for path in sorted(folder.iterdir()):

        def refuse(requested: Path, path: Path = path) -> str:
            if requested == path:
                raise PermissionError(13, "Permission denied")
            return read(requested)

        monkeypatch.setattr(artifacts, "sha256", refuse)
        if path.name != "manifest.json":
            assert_refused(folder, f"{path} cannot be read (Permission denied)")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is damaged"),
        (b"[]", "has no format number"),
        (b"5", "has no format number"),
        (b"{}", "has no format number"),
        (b'{"format": 2}', "has format 2, but this version of embedrec reads format 1; update embedrec"),
        (b'{"format": "1"}', "has format '1'"),
        (b'{"format": {"a": []}}', "has format"),
        (b'{"format": 1}', "its digest differs"),
        (b'{"format": 1, "digest": ["\\ud800"], "x": "\\udfff"}', "its digest differs"),
        (b'{"format": 1, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "is damaged"),
        (b'{"format": ' + b"9" * 5000 + b"}", "is damaged"),
        (b'{"format": 1}\xff', "is damaged"),
    ],
)
def test_invalid_manifests_are_refused(content: bytes, message: str, originals: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(originals / "popular", tmp_path / "x")
    (folder / "manifest.json").write_bytes(content)
    assert_refused(folder, message)


INVALID_VALUES = [
    None,
    True,
    0,
    -1,
    10**30,
    1.5,
    "",
    "x",
    "../../etc/passwd",
    [],
    ["x"],
    [[]],
    {},
    {"x": {}},
    {"x": 5},
    "\ud800",
]


def test_invalid_values_in_a_signed_manifest_load_or_are_refused(folder: Path) -> None:
    """Each field of the manifest and of its field `about` is replaced or removed, under a valid digest."""
    path = folder / "manifest.json"
    original = path.read_bytes()
    manifest = json.loads(original)
    for key in (*(manifest.keys() - {"digest"}), *(f"about.{key}" for key in manifest["about"])):
        *into, last = key.split(".", 1)

        def parent(m: dict[str, Any], into: list[str] = into) -> dict[str, Any]:
            return m[into[0]] if into else m

        for value in INVALID_VALUES:
            path.write_bytes(original)
            sign(folder, lambda m, last=last, value=value, parent=parent: parent(m).update({last: value}))
            assert_loads_or_refused(folder)
        path.write_bytes(original)
        sign(folder, lambda m, last=last, parent=parent: parent(m).pop(last))
        assert_loads_or_refused(folder)
        if not into:
            assert_refused(folder)


def assert_loads_or_refused(folder: Path) -> None:
    message = verify_artifact(folder)
    assert message is None or ("\n" not in message.strip() and str(folder) in message)
    try:
        load(folder)
    except ArtifactError:
        assert message is not None
    except KeyError:  # `load` of this test knows three kinds
        assert message is not None and "unknown kind" in message


@pytest.mark.parametrize(
    "name", ["../secret.npy", "/etc/passwd", "a/b.npy", "..", ".hidden", "", "a\nb", "manifest.json"]
)
def test_file_names_outside_the_folder_are_refused(name: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.npy").write_bytes(b"secret")
    entry = {"bytes": 6, "sha256": atomic.sha256(tmp_path / "secret.npy")}
    sign(folder, lambda m: m["files"].update({name: entry}))
    if name == "manifest.json":
        assert "is damaged" in (verify_artifact(folder) or "")
    else:
        assert_refused(folder, f"lists the file {name!r}, which is not a plain file name")


@pytest.mark.parametrize("entry", [{}, {"bytes": 5}, {"sha256": "x"}, {"bytes": "5", "sha256": "x"}, [], None, 5])
def test_incomplete_entries_of_files_are_refused(entry: Any, folder: Path) -> None:
    original = (folder / "manifest.json").read_bytes()
    for name in json.loads(original)["files"]:
        (folder / "manifest.json").write_bytes(original)
        sign(folder, lambda m, name=name: m["files"].update({name: entry}))
        assert_refused(folder, "its field 'files' is missing or invalid")


@pytest.mark.parametrize("size", [-1, 0, 10**30])
def test_wrong_file_sizes_are_refused(size: int, folder: Path) -> None:
    sign(folder, lambda m: m["files"]["vocab.parquet"].update(bytes=size))
    assert_refused(folder, f"but the manifest records {size}")


def test_artifacts_of_another_kind_are_refused(originals: Path) -> None:
    with pytest.raises(ArtifactError, match="is of kind model, but an artifact of kind index is needed"):
        artifacts.read(originals / "vectors", "index")
    with pytest.raises(ArtifactError, match=r"is not an artifact of embedrec \(it has no manifest.json\)"):
        artifacts.read(originals, "index")
    with pytest.raises(ArtifactError, match="is a file, but an artifact is a folder"):
        artifacts.read(originals / "vectors" / "vocab.parquet")


# ------------------------------------------------------------------------- content that is signed, but of no sense


def arrays() -> Iterator[np.ndarray]:
    yield np.zeros(0, dtype=np.int64)
    yield np.arange(7)
    yield np.arange(7, dtype=np.int32)
    yield np.full(60, -1, dtype=np.int32)
    yield np.full((60, 4), np.nan, dtype=np.float32)
    yield np.ones((60, 5), dtype=np.float32)
    yield np.ones((60, 4))
    yield np.ones((60, 4), dtype=complex)
    yield np.ones((60, 4), dtype=bool)
    yield np.array(["a", "b"])
    yield np.array(5)
    yield np.ones((2, 3, 4), dtype=np.float32)
    yield np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")])


def test_arrays_of_another_type_or_shape_are_refused(folder: Path) -> None:
    (folder / "README").unlink(missing_ok=True)
    for path in sorted(folder.glob("*.npy")):
        original = path.read_bytes()
        for array in arrays():
            np.save(path, array)
            sign(folder)
            fits = folder.name == "vectors" and array.dtype.kind == "f" and array.ndim == 2 and np.isfinite(array).all()
            if fits and len(array) == 60:
                assert_loads_or_refused(folder)
            else:
                assert_refused(folder)
        description = b"{'descr': ',i8', 'fortran_order': False, 'shape': (3,)}"
        header = b"\x93NUMPY\x01\x00" + len(description).to_bytes(2, "little") + description
        for content in (b"\x93NUMPY\x01\x00\x05\x00(((((", header, b"PK\x05\x06" + b"\0" * 18, b"\x80\x04\x95pickle"):
            path.write_bytes(content)
            sign(folder)
            assert_refused(folder, f"{path} is not an array")
        np.save(path, np.array([{"a": 1}]), allow_pickle=True)
        sign(folder)
        assert_refused(folder, f"{path} is not an array")
        path.write_bytes(original)
    sign(folder)
    assert verify_artifact(folder) is None


def test_tables_of_other_ids_are_refused(folder: Path) -> None:
    for path in sorted(folder.glob("*.parquet")):
        original = path.read_bytes()
        for ids in (np.arange(3), np.array(["a"], dtype=object), np.array([], dtype=np.int64)):
            save_ids(ids, path)
            sign(folder)
            if "features" in path.name:  # ids alone are features without columns
                assert_loads_or_refused(folder)
            else:
                assert_refused(folder)
        path.write_bytes(original)


@settings(max_examples=60)
@given(data=st.data())
@pytest.mark.parametrize("name", KINDS)
def test_damaged_arrays_with_valid_checksums_load_or_are_refused(
    name: str, data: st.DataObject, originals: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "x"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(originals / name, folder)
    # Arrays only: what FAISS and Parquet do with bytes that somebody forged together with their checksums is theirs.
    path = data.draw(st.sampled_from(sorted(folder.glob("*.npy"))))
    content = bytearray(path.read_bytes())
    # A checksum keeps accidents from FAISS; against files that are forged byte by byte it has no defence of its own.
    damage = data.draw(st.sampled_from(["cut", "flip", "random"] if path.suffix != ".faiss" else ["cut", "random"]))
    position = data.draw(st.integers(0, len(content) - 1))
    if damage == "cut":
        del content[position:]
    elif damage == "flip":
        content[position] ^= data.draw(st.integers(1, 255))
    else:
        content[:] = data.draw(st.binary(max_size=100))
    path.write_bytes(content)
    sign(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy doubts some headers aloud
        assert_loads_or_refused(folder)
