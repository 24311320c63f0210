"""The Million Playlist layout: against a simple reference, compressed files, and errors in files."""

from __future__ import annotations

import gzip
import json
import os
import tarfile
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data.events import Events
from embedrec.datasets.synthetic import make_world, write_mpd
from embedrec.errors import DataError
from embedrec.readers import BadRows, mpd, mpd_slices
from embedrec.readers.mpd import Mpd
from embedrec.readers.mpd_slices import Slice
from embedrec.storage.memory_budget import MemoryBudget
from embedrec.tabular.read_settings import ReadSettings
from embedrec.tabular.source_files import expand
from tests.data import strategies as draw

_SKIP = "; use --on-bad-row skip to leave such rows out"
_LEVELS = {
    "artist": ("artist_uri", "artist_name", None),
    "track": ("track_uri", "track_name", "artist_name"),
    "album": ("album_uri", "album_name", "artist_name"),
}

words = st.sampled_from(["", "x", "Ö–", 'q"', "日本", "a\n"])
track = st.fixed_dictionaries(
    {f"{k}_uri": st.sampled_from([f"spotify:{k}:{i}" for i in "abcd"]) for k in _LEVELS},
    optional={f"{k}_name": words for k in _LEVELS} | {"pos": st.integers(), "duration_ms": st.none()},
)
playlists = st.lists(
    st.fixed_dictionaries({"pid": st.integers(-5, 2**63 - 1), "tracks": st.lists(track, max_size=6)}),
    max_size=6,
    unique_by=lambda p: p["pid"],
)
junk = st.sampled_from([None, True, 7, 1.5, -2.0, "", "spotify:artist:", "text", [], [3], {}, {"a": 1}, 2**63, 2**70])


def slices(folder: Path, *contents: Any) -> Path:
    for n, content in enumerate(contents):
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"mpd.slice.{n}.json").write_text(text, encoding="utf-8")
    return folder


def as_rows(events: Events) -> list[tuple[int, str, str]]:
    ids, names = events.items.ids[events.item], events.items.names[events.item]
    return list(zip(events.sessions.ids[events.session].tolist(), ids.tolist(), names.tolist(), strict=True))


def slow_rows(parts: list[list[dict]], level: str) -> list[tuple[int, str, str]]:
    """Slow reference: one loop over plain dicts."""
    uri, title, by = _LEVELS[level]
    rows = []
    for playlist in (p for part in parts for p in part):
        tracks = playlist["tracks"]
        if all("pos" in t for t in tracks):
            tracks = sorted(tracks, key=lambda t: t["pos"])
        rows += [(playlist["pid"], t) for t in tracks]
    names: dict[str, str] = {}
    for _, t in rows:
        words = [t.get(by, ""), t.get(title, "")] if by else [t.get(title, "")]
        names[t[uri]] = names.get(t[uri]) or " – ".join(w for w in words if w)
    return [(pid, t[uri], names[t[uri]]) for pid, t in rows]


@draw.given(playlists, st.sampled_from(list(_LEVELS)), st.integers(1, 3))
def test_events_equal_a_slow_reference(lists: list[dict], level: str, files: int) -> None:
    parts = [lists[n::files] for n in range(files)]
    expected = slow_rows(parts, level)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(mpd_slices, "read_carefully", None)  # the fast decoder reads valid files
        slices(Path(folder), *({"playlists": part, "info": {"x": [1]}} for part in parts))
        if not expected:
            with pytest.raises(DataError, match="has a track that can be used"):
                Mpd(level).read([folder], ReadSettings())
            return
        assert as_rows(Mpd(level).read([folder], ReadSettings())) == expected
        cut = Mpd(level, uris="cut").read([folder], ReadSettings())
    assert as_rows(cut) == [(pid, uri.removeprefix(f"spotify:{level}:"), name) for pid, uri, name in expected]


def paths_in(value: Any, prefix: tuple = ()) -> list[tuple]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [prefix, *(path for key, part in inside for path in paths_in(part, (*prefix, key)))]


@draw.given(playlists.filter(bool), st.data(), junk, examples=150)
def test_both_decoders_give_the_same_rows_and_errors(lists: list[dict], data: st.DataObject, replacement: Any) -> None:
    """One value of a valid file is replaced or removed."""
    content = json.loads(json.dumps({"playlists": lists}))
    *parents, key = data.draw(st.sampled_from(paths_in(content)[1:]))
    spot = content
    for parent in parents:
        spot = spot[parent]
    if data.draw(st.booleans()):
        spot[key] = replacement
    else:
        del spot[key]
    with TemporaryDirectory() as folder:
        source = expand([slices(Path(folder), content)], (".json",))[0]
        results = []
        for read in (
            lambda: mpd_slices.read_slice(source, "artist", "skip"),
            lambda: mpd_slices.read_carefully(source, source.read(), "artist", "skip"),
        ):
            try:
                part = read()
            except DataError as e:
                results.append(str(e))
                continue
            arrays = [a.tolist() for a in (part.places, part.pids, part.lengths, part.items)]
            results.append((arrays, part.ids, part.names, part.bad_rows.counts, part.bad_rows.examples))
    assert results[0] == results[1]


@pytest.mark.parametrize("form", ["gz", "zip", "tar", "tar.gz", "glob", "files"])
def test_compressed_and_listed_files_give_the_same_events(tmp_path: Path, form: str) -> None:
    world = make_world(genres=2, artists_per_genre=3, playlists=25)
    plain = write_mpd(world, tmp_path / "plain", per_file=10)
    given: list[str | Path] = list(reversed(plain))
    if form == "glob":
        given = [str(tmp_path / "plain" / "mpd.slice.*.json")]
    elif form == "zip":
        with zipfile.ZipFile(tmp_path / "mpd.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for file in reversed(plain):
                archive.write(file, f"data/{file.name}")
            archive.writestr("README.md", "not data")
        given = [tmp_path / "mpd.zip"]
    elif form.startswith("tar"):
        with tarfile.open(tmp_path / f"mpd.{form}", f"w:{form[4:]}") as packed:
            for file in plain:
                packed.add(file, f"data/{file.name}")
        given = [tmp_path / f"mpd.{form}"]
    elif form == "gz":
        (tmp_path / "gz").mkdir()
        for file in plain:
            (tmp_path / "gz" / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        given = [tmp_path / "gz"]
    expected = Mpd("track").read([tmp_path / "plain"], ReadSettings())
    assert as_rows(Mpd("track").read(given, ReadSettings())) == as_rows(expected)


def test_several_processes_give_the_same_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mpd, "WORTH_PROCESSES", 0)
    files = write_mpd(make_world(genres=2, artists_per_genre=5, playlists=100), tmp_path, per_file=20)
    content = json.loads(files[2].read_text(encoding="utf-8"))
    content["playlists"][3]["tracks"][1]["artist_uri"] = None
    content["playlists"][4]["pid"] = 7  # stands in the first file
    del content["playlists"][5]["tracks"]
    files[2].write_text(json.dumps(content), encoding="utf-8")
    serial, parallel = BadRows("skip"), BadRows("skip")
    reports: list[dict] = []
    a = Mpd().read([tmp_path], ReadSettings(serial))
    b = Mpd().read([tmp_path], ReadSettings(parallel, 2, report=lambda event, **n: reports.append(n)))
    for name in ("session", "item"):
        assert getattr(a, name).tolist() == getattr(b, name).tolist()
        assert getattr(b, name).dtype == np.int32
    assert a.items.ids.tolist() == b.items.ids.tolist() and a.items.names.tolist() == b.items.names.tolist()
    assert (
        serial.lines()
        == parallel.lines()
        == [
            f"1 row left out: artist_uri must be a text (first: {files[2]}, playlists[3] (pid 43), tracks[1])",
            f"1 row left out: the playlist has no tracks (first: {files[2]}, playlists[5])",
            f"1 row left out: duplicate playlist id (first: {files[2]}, playlists[4])",
        ]
    )
    total = sum(file.stat().st_size for file in files)
    assert [r["total"] for r in reports] == [total] * 6
    assert [r["done"] for r in reports] == np.cumsum([0, *(f.stat().st_size for f in files)]).tolist()
    errors = []
    for workers in (1, 2):
        with pytest.raises(DataError) as error:
            Mpd().read([tmp_path], ReadSettings(workers=workers))
        errors.append(str(error.value))
    assert errors[0] == errors[1]


def test_playlists_without_tracks_are_not_sessions(tmp_path: Path) -> None:
    part = {"playlists": [{"pid": 4, "tracks": []}, {"pid": 2, "tracks": [{"artist_uri": "a"}]}]}
    events = Mpd().read([slices(tmp_path, part)], ReadSettings())
    assert (events.sessions.ids.tolist(), events.session.tolist()) == ([2], [0])


def file_with(**playlist: Any) -> dict:
    return {"playlists": [{"pid": 1, "tracks": [{"artist_uri": "a"}]}, {"pid": 2, "tracks": []} | playlist]}


_A = {"artist_uri": "a"}
_ROW = "{f}, playlists[1] (pid 2), tracks[1]: "
_BAD = {
    "cut off": (json.dumps(file_with())[:-20], "{f} is cut off: its JSON ends too early; get the file again"),
    "not JSON": (
        '{"playlists": oops}',
        "{f} is not valid JSON (JSON is malformed: invalid character (byte 14)); get the file again",
    ),
    "other shape": (
        {"users": [], "a": 1},
        '{f} is not in the layout of the Million Playlist Dataset, an object with a list "playlists", '
        "but is an object with the keys a, users",
    ),
    "list": (
        [1],
        '{f} is not in the layout of the Million Playlist Dataset, an object with a list "playlists", but is a list',
    ),
    "other level": (
        {"playlists": [{"pid": 1, "tracks": [{"track_uri": "t"}]}]},
        "{f} has no artist_uri, which --level artist needs; use --level track",
    ),
    "no level": (
        {"playlists": [{"pid": 1, "tracks": [{"id": "t"}]}]},
        "{f} has no artist_uri, which --level artist needs; check the layout",
    ),
    "no pid": (
        {"playlists": [{"tracks": [_A]}]},
        "{f}, playlists[0]: the playlist has no pid" + _SKIP,
    ),
    "text pid": (
        file_with(pid="x"),
        '{f}, playlists[1]: pid must be a whole number of 64 bits, but is "x"' + _SKIP,
    ),
    "huge pid": (
        file_with(pid=2**63),
        "{f}, playlists[1]: pid must be a whole number of 64 bits, but is 9223372036854775808" + _SKIP,
    ),
    "twice in a file": (
        file_with(pid=1),
        "{f}, playlists[1]: duplicate playlist id (pid 1 also in {f})" + _SKIP,
    ),
    "no tracks": (
        {"playlists": [{"pid": 1, "tracks": [_A]}, {"pid": 2}]},
        "{f}, playlists[1]: the playlist has no tracks" + _SKIP,
    ),
    "tracks of a type": (
        file_with(tracks={"a": 1}),
        "{f}, playlists[1]: tracks must be a list, but is an object" + _SKIP,
    ),
    "playlist of a type": (
        {"playlists": [{"pid": 1, "tracks": [_A]}, 5]},
        "{f}, playlists[1]: a playlist must be an object, but is 5" + _SKIP,
    ),
    "track of a type": (file_with(tracks=[_A, None]), _ROW + "a track must be an object, but is null" + _SKIP),
    "no field": (file_with(tracks=[_A, {"pos": 1}]), _ROW + "the track has no artist_uri" + _SKIP),
    "field of a type": (
        file_with(tracks=[_A, {"artist_uri": 12}]),
        _ROW + "artist_uri must be a text, but is 12" + _SKIP,
    ),
    "name of a type": (
        file_with(tracks=[_A, {"artist_uri": "a", "artist_name": None}]),
        _ROW + "artist_name must be a text, but is null" + _SKIP,
    ),
    "empty field": (file_with(tracks=[_A, {"artist_uri": ""}]), _ROW + "artist_uri is empty" + _SKIP),
    "bare prefix": (
        file_with(tracks=[_A, {"artist_uri": "spotify:artist:"}]),
        _ROW + "artist_uri is empty" + _SKIP,
    ),
    "no playlists": (
        {"playlists": []},
        "no playlist in {d} has a track that can be used; check the files",
    ),
}


@pytest.mark.parametrize(("content", "message"), _BAD.values(), ids=_BAD)
def test_invalid_files_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    slices(tmp_path, content)
    expected = message.replace("{f}", f"{tmp_path}/mpd.slice.0.json").replace("{d}", str(tmp_path))
    with pytest.raises(DataError) as error:
        Mpd().read([tmp_path], ReadSettings())
    assert str(error.value) == expected


@pytest.mark.parametrize("name", [name for name, (_, message) in _BAD.items() if message.endswith(_SKIP)])
def test_bad_rows_are_skipped(tmp_path: Path, name: str) -> None:
    """Each bad row is left out of a file beside a valid one."""
    slices(tmp_path, _BAD[name][0], {"playlists": [{"pid": 9, "tracks": [_A]}]})
    bad_rows = BadRows("skip")
    events = Mpd().read([tmp_path], ReadSettings(bad_rows))
    assert bad_rows.total == 1
    assert events.sessions.ids.tolist()[-1] == 9
    assert events.items.ids.tolist() == ["a"]


def test_duplicate_playlist_ids_name_both_files(tmp_path: Path) -> None:
    slices(tmp_path, {"playlists": [{"pid": 3, "tracks": [_A]}]}, {"playlists": [{"pid": 3, "tracks": [_A, _A]}]})
    with pytest.raises(DataError) as error:
        Mpd().read([tmp_path], ReadSettings())
    assert str(error.value) == (
        f"{tmp_path}/mpd.slice.1.json, playlists[0]: duplicate playlist id "
        f"(pid 3 also in {tmp_path}/mpd.slice.0.json)" + _SKIP
    )
    assert len(Mpd().read([tmp_path], ReadSettings(BadRows("skip")))) == 1


def test_cut_ids_that_become_equal_are_one_item(tmp_path: Path) -> None:
    tracks = [{"artist_uri": "spotify:artist:x"}, {"artist_uri": "x", "artist_name": "X"}]
    events = Mpd(uris="cut").read([slices(tmp_path, {"playlists": [{"pid": 1, "tracks": tracks}]})], ReadSettings())
    assert as_rows(events) == [(1, "x", "X"), (1, "x", "X")]


def test_real_playlists_have_known_sizes() -> None:
    data = Path(os.environ.get("EMBEDREC_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
    if not (data / "mpd" / "train").is_dir():
        pytest.skip(f"needs the playlists in {data}/mpd/train; set EMBEDREC_DATA")
    events = Mpd().read([data / "mpd" / "train"], ReadSettings())
    assert (len(events), len(events.sessions), len(events.items)) == (494_800, 5_000, 35_245)
    assert events.items.name(0) == "Elton John"
    with pytest.raises(DataError, match=r"has no album_uri, which --level album needs; use --level artist or track$"):
        Mpd("album").read([data / "mpd" / "train"], ReadSettings())


def test_ids_beyond_the_memory_limit_are_an_error(tmp_path: Path) -> None:
    memory = MemoryBudget(256 << 20, tmp_path / "memory")
    merger = mpd.SliceMerger("", memory)
    zero = np.array([0], dtype=np.int64)

    def part(uris: list[str]) -> Slice:
        rows = np.arange(len(uris), dtype=np.int32)
        pid = zero + len(merger.seen)
        return Slice(zero, pid, zero + len(uris), rows, uris, ["n" * 9_000] * len(uris), BadRows())

    (source,) = expand([slices(tmp_path, {"playlists": []})], (".json",))
    merger.add(source, part([f"{i}" for i in range(9_000)]), BadRows())
    with pytest.raises(DataError, match=r"^the distinct ids and names take 1[0-9]+M so far .* for items"):
        merger.add(source, part([f"{i}" for i in range(9_000, 20_000)]), BadRows())


@pytest.mark.parametrize("careful", [False, True])
def test_tracks_are_ordered_by_pos(tmp_path: Path, careful: bool) -> None:
    def tracks(*positions: Any) -> list[dict]:
        return [{"track_uri": f"t{n}", "pos": pos} for n, pos in enumerate(positions)]

    lists = {0: (2, 0, 1), 1: (0, 1, 2), 2: (5, 5, -1.5), 3: (1, None, 0), 4: (1, "0")}
    content = {"playlists": [{"pid": pid, "tracks": tracks(*positions)} for pid, positions in lists.items()]}
    if careful:
        content["playlists"].append({"pid": 9, "tracks": [{}]})
    (tmp_path / "mpd.slice.json").write_text(json.dumps(content))
    events = Mpd(level="track").read([tmp_path / "mpd.slice.json"], ReadSettings(BadRows("skip")))
    result: dict[int, list[str]] = {}
    for pid, item, *_ in as_rows(events):
        result.setdefault(pid, []).append(item)
    assert result == {
        0: ["t1", "t2", "t0"],
        1: ["t0", "t1", "t2"],
        2: ["t2", "t0", "t1"],  # equal positions keep their order
        3: ["t0", "t1", "t2"],  # if one has no position, all keep their order
        4: ["t0", "t1"],
    }
