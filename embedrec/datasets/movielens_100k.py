"""MovieLens 100K (Harper & Konstan, 2015), downloaded only for the demo.

The wheel of RecBole contains it. The files are extracted from the wheel, checked against known checksums, and cached.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import zipfile
from pathlib import Path

from embedrec.errors import DataError, decoding
from embedrec.runtime.child_interpreters import command
from embedrec.storage.atomic import atomic_file, sha256

_WHEEL = "recbole==1.2.1"
_INSIDE = "recbole/dataset_example/ml-100k/"
_FILES = {
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
}
_INSTEAD = "give the folder of MovieLens 100K with --data, or run `embedrec demo --toy`"


def movielens_100k(cache: Path) -> Path:
    """The folder that holds MovieLens 100K (ml-100k.inter, ml-100k.item), downloaded by pip unless it is cached.

    Raises DataError if the download fails or a checksum differs.
    """
    folder = cache / "ml-100k"
    if not all((folder / name).is_file() and sha256(folder / name) == digest for name, digest in _FILES.items()):
        with tempfile.TemporaryDirectory() as download:
            wheel = _download(Path(download))
            for name, digest in _FILES.items():
                data = _member(wheel, _INSIDE + name)
                if hashlib.sha256(data).hexdigest() != digest:
                    raise DataError(f"{name} in {wheel.name} has an unexpected checksum; {_INSTEAD}")
                with atomic_file(folder / name, "wb") as f:
                    f.write(data)
    return folder


def user_cache() -> Path:
    """The folder of downloads of this user: $XDG_CACHE_HOME/embedrec, else ~/.cache/embedrec."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "embedrec"


def _download(folder: Path) -> Path:
    arguments = [
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--no-input",
        "--only-binary=:all:",
        "--disable-pip-version-check",
        "--retries",
        "1",
    ]
    done = subprocess.run(command(*arguments, _WHEEL, "-d", str(folder)), capture_output=True, text=True, check=False)
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode or wheel is None:
        message = (done.stderr.strip().splitlines() or ["nothing"])[-1].removeprefix("ERROR: ")
        raise DataError(f"MovieLens 100K could not be downloaded (pip: {message}); {_INSTEAD}")
    return wheel


def _member(wheel: Path, name: str) -> bytes:
    with (
        decoding(lambda why: DataError(f"{wheel.name} does not contain {name} ({why}); {_INSTEAD}")),
        zipfile.ZipFile(wheel) as archive,
    ):
        return archive.read(name)
