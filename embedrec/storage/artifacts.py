"""Artifacts: folders of plain files with a manifest, written atomically and checked when read.

An artifact is a folder with data files and `manifest.json`, which holds the format number, the kind, the size and
SHA-256 of every file, and a description (settings, provenance, measurements). It contains no pickle.
`docs/reference/artifact-format.md` documents the format field by field.

A process that is killed while it writes leaves the old artifact or the new one, see `atomic`. Reading trusts nothing:
paths outside the folder, links, wrong sizes and wrong checksums are rejected before any parser sees the bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, Any

from embedrec.errors import ArtifactError, decoded_or_none, decoding, reason
from embedrec.storage import checksum_cache, manifest_schema
from embedrec.storage.atomic import atomic_folder, link_or_copy, other_file, resolve_links, sha256

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1
BLOCK_BYTES = 1 << 26  # bytes of an array written at a time
MANIFEST = "manifest.json"
FOLDERS = {"sessions": "sessions", "model": "models", "index": "indexes"}  # of a workspace, by kind
PARTS = "parts"  # folder beside models, of the parts of composite models
VERSIONS = "versions"  # folder of a workspace, of the versions of its artifacts
JOURNAL = "switch.json"  # file in it, while a switch is going on
DERIVED = ".derived"  # folder inside an artifact with what was computed from its files, and can be computed again
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_WRITE_AGAIN = "write the artifact again"
_ONE_PARSER = Lock()  # CPython 3.11 may fail ("AST constructor recursion depth mismatch") if two threads parse


# ---------------------------------------------------------------------------------------------- writing


class Draft:
    """An artifact that is being written: a folder for its files, and the description for its manifest."""

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.folder = folder
        self.about = about
        self.linked: dict[str, dict[str, Any]] = {}  # files of other artifacts, with their entries in the manifest

    def path(self, name: str) -> Path:
        """The path to write the file `name` to."""
        if not plain_name(name):
            raise ArtifactError(f"{name!r} is not a plain file name; use letters, digits, '.', '_' and '-'")
        return self.folder / name

    def array(self, name: str, array: np.ndarray) -> None:
        """Write `array` as `name`.npy."""
        with self.path(f"{name}.npy").open("wb") as f:
            write_array(f, array)

    def link(self, artifact: Artifact, name: str) -> None:
        """Take over a file of another artifact, which is neither read nor copied where the file system has hard links.

        Raises ArtifactError if it is missing or has another size; its checksum is that of the other manifest.
        """
        source, entry = artifact.folder / name, artifact.files[name]
        try:
            info = source.lstat()
            if not stat.S_ISREG(info.st_mode) or info.st_size != entry["bytes"]:
                raise ArtifactError(f"{source} is damaged (it is no file of {entry['bytes']} bytes); {_WRITE_AGAIN}")
            link_or_copy(source, self.path(name))
        except FileNotFoundError:
            raise ArtifactError(f"{source} is missing; {_WRITE_AGAIN}") from None
        self.linked[name] = entry


@contextmanager
def writing(
    folder: Path,
    kind: str,
    about: Mapping[str, Any],
    *,
    made_from: Artifact | None = None,
    needs: Sequence[Artifact] = (),
) -> Iterator[Draft]:
    """Write the artifact `folder`; it appears, or replaces the old one, when the block ends without an error.

    kind       "sessions", "model" or "index"
    about      JSON values for the manifest; the block may add to them through `draft.about`
    made_from  an artifact that the new one derives from. If the new one replaces it, it must be unchanged since it was
               read, so that no concurrent update is lost
    needs      artifacts that the new one cannot be read without; they must be unchanged, too

    If `folder` is a symbolic link, its target is replaced. Raises ArtifactError if `folder` exists and is not an
    artifact, which is never overwritten, and if `made_from` or one of `needs` has changed.
    """
    folder = resolve_links(folder) if folder.is_symlink() else folder
    check_place(folder)

    def check() -> None:
        if made_from is not None and folder.exists() and folder.samefile(made_from.folder):
            check_same(made_from)
        for artifact in needs:
            check_same(artifact)

    with atomic_folder(folder, check) as draft_folder:
        draft = Draft(draft_folder, dict(about))
        yield draft
        files = {f.name: draft.linked.get(f.name) or describe_file(f) for f in sorted(draft_folder.iterdir())}
        manifest = {
            "format": FORMAT,
            "kind": kind,
            "created": datetime.now(UTC).isoformat(timespec="microseconds"),
            "fingerprint": json_digest({"kind": kind, "files": files}),
            "about": draft.about,
            "versions": _versions(),
            "files": files,
        }
        manifest["digest"] = json_digest(manifest)
        with (draft_folder / MANIFEST).open("w", encoding="utf-8", errors=_SURROGATES) as f:
            json.dump(manifest, f, indent=2, ensure_ascii=False, allow_nan=False)
            f.write("\n")


def check_same(artifact: Artifact) -> None:
    """Raises ArtifactError if an artifact has changed since it was read."""
    if not is_same(artifact):
        raise ArtifactError(f"another process changed {artifact.folder} in the meantime; try again")


def is_same(artifact: Artifact) -> bool:
    """Whether an artifact is as it was when it was read."""
    try:
        return read(artifact.folder).digest == artifact.digest
    except ArtifactError:
        return False


def _versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that determine the content of artifacts."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {"python": sys.version.split()[0]}
    for package in ("embedrec", "faiss-cpu", "gensim", "numba", "numpy", "pyarrow"):
        with suppress(PackageNotFoundError):  # GPU builds of FAISS have other names
            versions[package] = version(package)
    return versions


def write_array(file: IO[bytes], array: np.ndarray) -> None:
    """Write an array in NumPy's format; numpy.save misses a full disk if its buffer holds the whole array."""
    import numpy as np

    array = np.asarray(array, order="C")
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
    content = array.reshape(-1).view(np.uint8)
    for start in range(0, len(content), BLOCK_BYTES):  # a single write of gigabytes could not be interrupted
        file.write(content[start : start + BLOCK_BYTES].data)


def plain_name(name: str) -> bool:
    """Whether a name is safe on every system: letters, digits, '.', '_' and '-', no leading dot."""
    return _PLAIN_NAME.fullmatch(name) is not None


def check_place(folder: Path) -> None:
    """Raises ArtifactError if no artifact can be written to `folder`: a bad name, no permission, or other files.

    Long work checks this before it begins. Only artifacts are replaced.
    """
    if not plain_name(folder.name):
        raise ArtifactError(f"{folder.name!r} cannot name an artifact; use letters, digits, '.', '_' and '-'")
    above = next(p for p in folder.absolute().parents if p.exists())
    if not (above.is_dir() and os.access(above, os.W_OK)):
        raise ArtifactError(f"{above} is not writable; choose another workspace")
    try:
        other = other_file(folder, _own_files)
    except NotADirectoryError:
        raise ArtifactError(f"{folder} is a file; move it away or choose another name") from None
    if other is not None:
        raise ArtifactError(
            f"{folder} is not an artifact: it contains other files ({other}); move it away or choose another name"
        )


def _own_files(folder: Path) -> set[str]:
    """The files of a folder that belong to an artifact: those in its manifest, or by suffix if that is damaged."""
    if not (folder / MANIFEST).exists():
        return set()
    manifest = decoded_or_none(lambda: json.loads((folder / MANIFEST).read_bytes()))
    if manifest is None:
        data = {f.name for f in folder.iterdir() if f.suffix in (".npy", ".parquet", ".faiss")}
        return {MANIFEST, checksum_cache.FILE, DERIVED, *data}
    if not (isinstance(manifest, dict) and {"format", "kind", "digest"} <= manifest.keys()):
        return set()
    files = manifest.get("files")
    return {MANIFEST, checksum_cache.FILE, DERIVED, *(files if isinstance(files, dict) else ())}


def plain_from(text: str) -> str:
    """A plain name made from a text, such as a file name; "" if no character remains."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")


def describe_file(path: Path) -> dict[str, Any]:
    """A file's entry in a manifest."""
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def json_digest(value: Any) -> str:
    """The SHA-256 of a JSON value in canonical form, in hexadecimal."""
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode(errors=_SURROGATES)).hexdigest()


_SURROGATES = "surrogatepass"  # paths that are not UTF-8 contain lone surrogates, which `json.loads` also accepts


# ---------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class Artifact:
    """An artifact on disk, open for reading; a file is checked against the manifest when it is first used.

    folder       its path
    kind         "sessions", "model" or "index"
    created      when it was written, UTC, ISO 8601 with microseconds
    fingerprint  SHA-256 over the kind and the checksums of all files: equal content, equal fingerprint
    about        settings, provenance and measurements
    versions     versions of the software that wrote it
    files        name → {"bytes", "sha256"}
    digest       SHA-256 over the manifest: distinguishes this artifact from one that replaces it
    """

    folder: Path
    kind: str
    created: str
    fingerprint: str
    about: dict[str, Any]
    versions: dict[str, str]
    files: dict[str, dict[str, Any]]
    digest: str
    _checked: set[str] = field(default_factory=set, repr=False, compare=False)

    @property
    def name(self) -> str:
        return self.folder.name

    def __contains__(self, name: str) -> bool:
        return name in self.files

    def path(self, name: str) -> Path:
        """The path of one of its files, after checking kind, size and checksum.

        Raises ArtifactError when the file is not in the manifest, missing, a link, or damaged.
        """
        entry = self.files.get(name)
        if entry is None:
            raise ArtifactError(f"{self.folder} has no file {name!r} in its manifest; write the artifact again")
        path = self.folder / name
        if name not in self._checked:
            try:
                before, info = checksum_cache.state(path), path.lstat()
                if not stat.S_ISREG(info.st_mode):
                    raise ArtifactError(f"{path} is not a plain file; write the artifact again")
                if info.st_size != entry["bytes"]:
                    raise ArtifactError(
                        f"{path} is damaged ({info.st_size} bytes, but the manifest records {entry['bytes']}); "
                        "write the artifact again"
                    )
                if info.st_size < checksum_cache.LARGE or not self.known("sha256", name):
                    if sha256(path) != entry["sha256"]:
                        raise ArtifactError(f"{path} is damaged (its checksum differs); write the artifact again")
                    self.remember("sha256", {name: before})
            except FileNotFoundError:
                raise ArtifactError(f"{path} is missing; write the artifact again") from None
            except OSError as e:
                raise ArtifactError(f"{path} cannot be read ({e.strerror})") from e
            self._checked.add(name)
        return path

    def state(self, *names: str) -> dict[str, list[int]]:
        """The state of some of its files, for `remember`."""
        return {name: checksum_cache.state(self.folder / name) for name in names}

    def known(self, check: str, *names: str) -> bool:
        """Whether some of its files passed a check in their current state."""
        return checksum_cache.known(self.folder, self.digest, check, names)

    def remember(self, check: str, before: dict[str, list[int]]) -> None:
        """Record that files passed a slow check, if one of them is large."""
        if any(size >= checksum_cache.LARGE for size, *_ in before.values()):
            checksum_cache.remember(self.folder, self.digest, check, before)

    def array(self, name: str, dtype: str | None = None) -> np.ndarray:
        """The array of `name`.npy, read-only and memory-mapped; numeric, or of the given type ("int64").

        Raises ArtifactError for other types, a foreign byte order, and arrays that are not C-contiguous, because
        compiled kernels do not check their arguments.
        """
        import numpy as np

        path = self.path(f"{name}.npy")
        with (
            decoding(lambda why: ArtifactError(f"{path} is not an array ({why}); write the artifact again")),
            _ONE_PARSER,
        ):
            array = np.lib.format.open_memmap(path, mode="r")  # numpy.load would also accept archives
        if array.dtype.kind not in "iuf" or dtype not in (None, array.dtype):
            raise ArtifactError(
                f"{path} must contain {dtype or 'numbers'}, but contains {array.dtype}; write the artifact again"
            )
        if not (array.dtype.isnative and array.flags.c_contiguous):
            raise ArtifactError(
                f"{path} contains {array.dtype.str} of shape {array.shape}, but must be C-contiguous and in native "
                "byte order; write the artifact again"
            )
        return array

    def json(self, name: str) -> Any:
        """The content of a JSON file."""
        path = self.path(name)
        with decoding(lambda why: ArtifactError(f"{path} is damaged ({why}); write the artifact again")):
            return json.loads(path.read_bytes())

    def check(self) -> None:
        """Check every file; raises ArtifactError at the first that is missing, damaged or not in the manifest.

        Reads all bytes, without the cache of earlier checks.
        """
        with suppress(OSError):
            (self.folder / checksum_cache.FILE).unlink()
        for name in self.files:
            self.path(name)
        extra = other_file(self.folder, lambda _: {MANIFEST, checksum_cache.FILE, DERIVED, *self.files})
        if extra is not None:
            raise ArtifactError(f"{self.folder / extra} is not in the manifest; remove it")


def read(folder: Path, kind: str | None = None) -> Artifact:
    """Open the artifact in `folder`, of the given kind or of any.

    Raises ArtifactError if there is none, its manifest is damaged, or its kind or format is another.
    """
    path = folder / MANIFEST
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise ArtifactError(f"{path} is not a plain file; write the artifact again")
        content = path.read_bytes()
    except FileNotFoundError:
        raise ArtifactError(
            f"{folder} is not an artifact of embedrec (it has no {MANIFEST}); move it away or write it again"
        ) from None
    except NotADirectoryError:
        raise ArtifactError(f"{folder} is a file, but an artifact is a folder; give the path of a folder") from None
    except OSError as e:
        raise ArtifactError(f"{path} cannot be read ({e.strerror})") from e
    with decoding(lambda why: ArtifactError(f"{path} is damaged ({why}); write the artifact again")):
        manifest = manifest_schema.parse(content)
    if not isinstance(manifest, dict) or "format" not in manifest:
        raise ArtifactError(f"{path} is damaged (it has no format number); write the artifact again")
    if manifest["format"] != FORMAT:
        raise ArtifactError(
            f"{folder} has format {manifest['format']!r}, but this version of embedrec reads format {FORMAT}; "
            "update embedrec or write the artifact again"
        )
    digest = manifest.pop("digest", None)
    if digest != json_digest(manifest):
        raise ArtifactError(f"{path} is damaged (its digest differs); write the artifact again")
    invalid = next((key for key, type_ in _FIELDS.items() if not isinstance(manifest.get(key), type_)), None)
    if invalid is None and not all(map(_is_file_entry, manifest["files"].values())):
        invalid = "files"
    if invalid is not None:
        raise ArtifactError(
            f"{path} is damaged (its field {invalid!r} is missing or invalid); write the artifact again"
        )
    with decoding(lambda why: ArtifactError(f"{path} contains an invalid value ({why}); write the artifact again")):
        manifest_schema.check_created(manifest["created"])
        manifest_schema.check_about(manifest["kind"], manifest["about"])
    if kind is not None and manifest["kind"] != kind:
        raise _wrong_kind(folder, manifest["kind"], kind)
    unsafe = next((name for name in manifest["files"] if not plain_name(name)), None)
    if unsafe is not None:
        raise ArtifactError(f"{path} lists the file {unsafe!r}, which is not a plain file name; remove the artifact")
    return Artifact(folder=folder, digest=digest, **{key: manifest[key] for key in _FIELDS})


def as_artifact(source: Artifact | str | os.PathLike[str], kind: str) -> Artifact:
    """An artifact of a kind, given as an artifact or as its folder. Raises ArtifactError as `read` does."""
    if not isinstance(source, Artifact):
        return read(Path(source), kind)
    if source.kind != kind:
        raise _wrong_kind(source.folder, source.kind, kind)
    return source


def _wrong_kind(folder: Path, given: str, needed: str) -> ArtifactError:
    return ArtifactError(f"{folder} is of kind {given}, but an artifact of kind {needed} is needed; choose another one")


_FIELDS = {"kind": str, "created": str, "fingerprint": str, "about": dict, "versions": dict, "files": dict}


def _is_file_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("bytes"), int) and isinstance(entry.get("sha256"), str)


@contextmanager
def opening(artifact: Artifact, remedy: str) -> Iterator[None]:
    """Convert exceptions in a block that reads the files of an artifact into an ArtifactError with a `remedy`.

    Raises ArtifactError too if the artifact was replaced during the block, because the files may not belong together.
    """
    try:
        yield
        problem: Exception | None = None
    except Exception as e:  # see `decoding`; a replaced artifact explains the error better
        problem = e
    if read(artifact.folder).digest != artifact.digest:
        raise ArtifactError(f"{artifact.folder} was replaced while it was read; try again") from problem
    if isinstance(problem, ArtifactError):
        raise problem
    if problem is not None:
        raise ArtifactError(f"{artifact.folder} cannot be opened ({reason(problem)}); {remedy}") from problem
