"""`embedrec publish`: from a workspace to servers; its messages contain no secrets."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run, succeed

LISTS = {
    "north": ["north-east", "east"],
    "north-east": ["north", "east"],
    "east": ["south-east", "north-east"],
    "south-east": ["east", "south"],
    "south": ["south-east", "east"],
    "west": ["north", "south"],
}


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (
        "EMBEDREC_REDIS_URL",
        "EMBEDREC_POSTGRES_URL",
        "EMBEDREC_QDRANT_URL",
        "REDISCLI_AUTH",
        "QDRANT_API_KEY",
    ):
        monkeypatch.delenv(name, raising=False)
    yield


def test_lists_are_published_to_redis(run: Run, compass: Path, redis: Any, redis_url: str) -> None:
    workspace = ("--workspace", compass)
    planned = succeed(run, "publish", "redis", redis_url, "-n", 2, "--dry-run", *workspace)
    assert planned.rows == [["redis", "6", "388"]] and not redis.keys()
    assert planned.err.splitlines()[1:] == ["nothing is written; the plan:"]
    result = succeed(run, "publish", "redis", redis_url, "-n", 2, *workspace)
    assert result.rows[0][:4] == ["redis", "1", "6", "388"]
    shown = re.sub(r":\d+/0", ":PORT/0", result.err)
    assert shown.splitlines() == [
        f"using index compass-flat ({compass}/indexes/compass-flat)",
        "published generation 1 to redis://:***@127.0.0.1:PORT/0",
    ]
    assert {item: redis.lrange(f"embedrec:1:{item}", 0, -1) for item in LISTS} == LISTS
    second = succeed(run, "publish", "redis", redis_url, "-n", 2, *workspace, "--json")
    assert "already serves this content as generation 1; nothing is written" in second.err
    assert json.loads(second.out) == {"target": "redis", "generation": 1, "seconds": json.loads(second.out)["seconds"]}
    succeed(
        run,
        "publish",
        "redis",
        redis_url,
        "-n",
        2,
        "--format",
        "json",
        "--keep",
        0,
        "--grace",
        0,
        "--prefix",
        "as:json",
        *workspace,
    )
    assert json.loads(redis.get("as:json:1:west"))["items"] == LISTS["west"]
    assert (
        "dropped generation=1" in succeed(run, "publish", "redis", redis_url, "--keep", 0, "--grace", 0, *workspace).err
    )


def test_credentials_are_read_from_the_environment(
    run: Run,
    compass: Path,
    redis: Any,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EMBEDREC_REDIS_URL", redis_url.replace(":s3cret-redis@", ""))
    workspace = ("--workspace", compass, "--retries", 0)
    error = run("publish", "redis", *workspace)
    assert error.code == 1 and "Authentication required" in error.err
    monkeypatch.setenv("REDISCLI_AUTH", "s3cret-redis")
    assert "s3cret" not in succeed(run, "publish", "redis", *workspace).err
    monkeypatch.setenv("REDISCLI_AUTH", "wr0ng-secret")
    error = run("publish", "redis", *workspace)
    assert error.code == 1 and "wr0ng" not in error.err and error.err.count("\n") == 2


def test_lists_and_vectors_are_published_to_postgres(run: Run, compass: Path, postgres: Any, postgres_url: str) -> None:
    workspace = ("--workspace", compass)
    planned = succeed(run, "publish", "postgres", postgres_url, "-n", 2, "--dry-run", *workspace)
    printed = succeed(run, "publish", "postgres", postgres_url, "-n", 2, "--hnsw", *workspace)
    assert (
        printed.rows[0][:5]
        == ["postgres", "1", *planned.rows[0][1:]]
        == ["postgres", "1", "12", "6", printed.rows[0][4]]
    )
    assert "s3cret" not in printed.err + printed.out
    result = postgres.execute(
        "SELECT item, array_agg(other ORDER BY rank) FROM embedrec_neighbours GROUP BY item"
    ).fetchall()
    assert dict(result) == LISTS
    neighbours = postgres.execute("SELECT item FROM embedrec_nearest('[0,1]', 3)").fetchall()
    assert neighbours == [("north",), ("north-east",), ("east",)]
    succeed(run, "publish", "postgres", postgres_url, "--items", "neighbours", "--prefix", "other", *workspace)
    assert postgres.execute("SELECT to_regclass('other_vectors')").fetchone() == (None,)


@pytest.mark.usefixtures("qdrant_in_a_folder")
def test_vectors_are_published_to_qdrant_and_parquet(run: Run, compass: Path, tmp_path: Path) -> None:
    workspace = ("--workspace", compass)
    planned = succeed(run, "publish", "qdrant", ":memory:", "--dry-run", *workspace).rows[0]
    assert succeed(run, "publish", "qdrant", tmp_path / "qdrant", *workspace).rows[0][:4] == [
        "qdrant",
        "1",
        *planned[1:],
    ]
    result = succeed(run, "publish", "parquet", tmp_path / "files", "-n", 2, *workspace)
    assert result.rows[0][:4] == ["parquet", "1", "12", "6"]
    planned = succeed(run, "publish", "parquet", tmp_path / "none", "-n", 2, "--dry-run", *workspace).rows[0]
    assert planned[:3] == ["parquet", "12", "6"] and not (tmp_path / "none").exists()
    assert "nothing is written" in succeed(run, "publish", "parquet", tmp_path / "files", "-n", 2, *workspace).err


def test_models_without_vectors_publish_neighbours_only(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text(
        "session,item\n" + "".join(f"{s},{i}\n" for s, items in enumerate(["abc", "abd"]) for i in items)
    )
    succeed(run, "prepare", "table", "log.csv")
    succeed(run, "train", "cooccurrence", "--set", "measure=raw")
    succeed(run, "publish", "parquet", "out")
    assert sorted(f.name for f in Path("out").iterdir()) == ["manifest.json", "neighbours.parquet"]
    for words in (("parquet", "out", "--items", "both"), ("qdrant", "q")):
        result = run("publish", *words)
        assert result.code == 1 and result.err.splitlines()[-1].startswith("embedrec: "), result.err
        assert "vectors" in result.err.splitlines()[-1]
    assert result.err.splitlines()[-1] == (
        "embedrec: model cooccurrence (cooccurrence) has no vectors; use --items neighbours, which qdrant does not "
        "support, or name another model with --model"
    )
    result = run("publish", "qdrant", "q")
    assert result.code == 1 and "has no vectors" in result.err and not Path("q").exists()
    assert run("publish", "qdrant", "q", "--items", "neighbours").code == 2
    succeed(run, "train", "popular")
    assert "has no item neighbours" in run("publish", "parquet", "x", "--model", "popular").err
    assert run("publish", "parquet", "x", "--model", "a", "--index", "b").code == 2
    assert (
        "--nprobe" in run("publish", "--help").out
        or "nprobe is a setting" in run("publish", "parquet", "x", "--nprobe", 2).err
    )


@pytest.mark.parametrize(
    "words",
    [
        ("publish", "redis", "redis://:pa55word@127.0.0.1:1/0", "redis://me:pa55word@h"),
        ("publish", "redis", "redis://:pa55word@127.0.0.1:1/0", "--retries", "0"),
        ("publish", "redis", "redis://:pa55word@127.0.0.1:port/0"),
        ("publish", "redis", "--keep", "redis://:pa55word@h"),
        ("publish", "redis://:pa55word@h"),
        ("redis://:pa55word@h",),
        ("publish", "postgres", "postgresql://me:pa55word@127.0.0.1:1/db", "--retries", "0"),
        ("publish", "postgres", "postgresql://127.0.0.1:1/db?password=pa55word&retries=0"),
        ("publish", "postgres", "host=127.0.0.1 password=pa55word"),
        ("publish", "qdrant", "https://:pa55word@127.0.0.1:1", "--retries", "0"),
        ("publish", "qdrant", "https://:pa55word@127.0.0.1:port", "--retries", "0"),
    ],
)
def test_secrets_are_never_printed(run: Run, compass: Path, words: tuple[str, ...]) -> None:
    workspace = ("--workspace", compass) if len(words) > 2 else ()
    result = run(*words, *workspace)
    assert result.code in (1, 2) and "pa55word" not in result.out + result.err, result.err
    assert "Traceback" not in result.err
    for file in compass.rglob("*.json"):
        assert "pa55word" not in file.read_text()


@pytest.mark.parametrize("password", ["pa55/w0rd", "pa55#w0rd", "pa55?w0rd", "[pa55]w0rd", "pa55@w0rd", "pa55%w0rd"])
@pytest.mark.parametrize(
    ("target", "start", "variable"),
    [
        ("redis", "redis://:", "REDISCLI_AUTH"),
        ("postgres", "postgresql://u:", "PGPASSWORD"),
        ("qdrant", "http://u:", "QDRANT_API_KEY"),
    ],
)
def test_passwords_that_must_be_encoded_are_refused(
    run: Run, compass: Path, target: str, start: str, variable: str, password: str
) -> None:
    """No error message, of usage or of the connection, contains a part of the password."""
    url = f"{start}{password}@127.0.0.1:1/0"
    result = run("publish", target, url, "--retries", 0, "--workspace", compass)
    assert result.code == 1 and result.err.splitlines()[-1] == (
        "embedrec: the password in the URL contains a character that must be percent-encoded (such as / as %2F); "
        f"encode it, or set {variable}"
    )
    for words in (("publish", target, url, url), ("publish", url), ("publish", target, "--keep", url), (url,)):
        result = run(*words)
        assert result.code == 2 and not re.search("pa55|w0rd", result.out + result.err), result.err


def test_mistyped_parameters_are_refused(run: Run, compass: Path) -> None:
    for target, url in (("redis", "redis://127.0.0.1:1/0"), ("postgres", "postgresql://127.0.0.1:1/db")):
        result = run("publish", target, f"{url}?pasword=pa55word", "--retries", 0, "--workspace", compass)
        assert result.code == 1 and "pa55word" not in result.out + result.err and f"{url}?pasword=***" in result.err


def test_lost_entries_are_published_again(run: Run, compass: Path, redis: Any, redis_url: str) -> None:
    workspace = ("--workspace", compass, "--grace", 0, "-n", 2)
    succeed(run, "publish", "redis", redis_url, *workspace)
    redis.delete("embedrec:1:west")
    result = succeed(run, "publish", "redis", redis_url, *workspace)
    assert re.sub(r":\d+/0", ":PORT/0", result.err).splitlines()[1:] == [
        "incomplete generation=1 missing=1",
        "dropped generation=1",
        "published generation 2 to redis://:***@127.0.0.1:PORT/0",
    ]
    assert redis.lrange("embedrec:2:west", 0, -1) == LISTS["west"]


def test_more_neighbours_than_items_are_accepted(run: Run, compass: Path) -> None:
    workspace = ("-n", 70_000, "--dry-run", "--workspace", compass)
    for words in (
        ("postgres", "postgresql://h/db"),
        ("parquet", "out"),
        ("redis", "redis://h"),
        ("qdrant", ":memory:"),
    ):
        assert succeed(run, "publish", *words, *workspace).rows


@pytest.mark.parametrize(
    ("target", "module"), [("redis", "redis"), ("postgres", "psycopg"), ("qdrant", "qdrant_client")]
)
def test_a_missing_package_is_named(
    run: Run, compass: Path, monkeypatch: pytest.MonkeyPatch, target: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    url = {"redis": "redis://h", "postgres": "postgresql://h/db", "qdrant": "http://h"}[target]
    result = run("publish", target, url, "--workspace", compass)
    remedy = f"install it with `pip install 'embedrec[{target}]'`"
    assert result.code == 1
    assert result.err.splitlines()[-1] == f"embedrec: publishing to {target} needs the package {module}; {remedy}"
    assert succeed(run, "publish", target, url, "--dry-run", "--workspace", compass).rows


def assert_rollback(run: Run, words: tuple[object, ...], workspace: Path) -> None:
    """Publish twice, list, roll back, and publish the served content again: nothing is lost or written twice."""
    workspace_option = ("--workspace", workspace, "--json")
    for k in (1, 2):
        succeed(run, *words, "-n", k, "--grace", 0, *workspace_option)
    generations = [json.loads(line) for line in succeed(run, *words, "--list", *workspace_option).out.splitlines()]
    assert [(g["generation"], g["state"], g["retired_seconds"] is None) for g in generations] == [
        (1, "kept", False),
        (2, "served", True),
    ]
    assert {g["source"] for g in generations} <= {"index compass-flat", ""} and len(
        {g["fingerprint"] for g in generations}
    ) == 2
    result = succeed(run, *words, "--rollback", *workspace_option)
    assert json.loads(result.out)["generation"] == 1 and json.loads(result.out)["before"] == 2
    assert "serves generation 1 again, not 2" in result.err and "using" not in result.err
    second = succeed(run, *words, "-n", 1, "--grace", 0, *workspace_option)
    assert "already serves this content as generation 1; nothing is written" in second.err
    assert json.loads(succeed(run, *words, "--rollback", "--generation", 2, *workspace_option).out)["generation"] == 2
    again = ("rollback", "--published", *words[1:], "--json")
    assert json.loads(succeed(run, *again).out) == {"target": words[1], "generation": 1, "before": 2}
    assert json.loads(succeed(run, *again, "--to", 2).out)["generation"] == 2
    assert "'x' is no generation; `embedrec publish" in run(*again, "--to", "x").err
    for options, code, message in (
        (("--rollback", "--generation", 2), 1, "generation 2 is served already"),
        (("--rollback", "--generation", 7), 1, "there is no generation 7; the generations are 1, 2"),
        (("--generation", 1), 2, "--generation needs --rollback"),
        (("--rollback", "--list"), 2, "mutually exclusive"),
        (("--rollback", "-n", 3), 2, "-n has no effect with --rollback"),
        (("--list", "--index", "compass-flat"), 2, "--index has no effect with --list"),
    ):
        result = run(*words, *options, *workspace_option)
        assert (result.code, result.out) == (code, "") and message in result.err


@pytest.mark.usefixtures("qdrant_in_a_folder")
def test_generations_of_qdrant_are_rolled_back(run: Run, compass: Path) -> None:
    assert_rollback(run, ("publish", "qdrant", compass / "qdrant"), compass)
    result = run("publish", "qdrant", compass / "absent", "--list", "--workspace", compass)
    assert result.code == 1 and "is no folder; check the path" in result.err and not (compass / "absent").exists()


def test_generations_of_redis_are_rolled_back(run: Run, compass: Path, redis: Any, redis_url: str) -> None:
    words = ("publish", "redis", redis_url)
    assert "no generations" in succeed(run, *words, "--list", "--workspace", compass).err
    assert_rollback(run, words, compass)
    assert (redis.get("embedrec:served"), redis.lrange("embedrec:2:north", 0, -1)) == ("2", LISTS["north"])
    redis.delete("embedrec:1:west")
    result = run(*words, "--rollback", "--workspace", compass)
    assert result.code == 1 and "generation 1 is incomplete (lost entries: 1)" in result.err
    assert redis.get("embedrec:served") == "2"


def test_generations_of_postgres_are_rolled_back(run: Run, compass: Path, postgres: Any, postgres_url: str) -> None:
    assert_rollback(run, ("publish", "postgres", postgres_url), compass)
    assert postgres.execute("SELECT count(*) FROM embedrec_neighbours").fetchone() == (12,)


def test_a_folder_keeps_one_generation(run: Run, compass: Path) -> None:
    workspace = ("--workspace", compass)
    for k in (1, 2):
        succeed(run, "publish", "parquet", compass / "files", "-n", k, *workspace)
    ((number, state, retired, source, _),) = succeed(
        run, "publish", "parquet", compass / "files", "--list", *workspace
    ).rows
    assert (number, state, retired, source) == ("2", "served", "", "index compass-flat")
    assert run("publish", "parquet", compass / "files", "--list", "-n", 3, *workspace).code == 2
    assert run("publish", "parquet", compass / "absent", "--list", *workspace).code == 1


def test_filters_policies_and_histories_are_published(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lists are those of an export with the same options."""
    import pyarrow.parquet as pq

    monkeypatch.chdir(tmp_path)
    sessions = ["abc", "abd", "acd", "bce", "abe"]
    Path("log.csv").write_text(
        "session,item\n" + "".join(f"{s},{i}\n" for s, items in enumerate(sessions) for i in items)
    )
    Path("carts.csv").write_text("session,item\nu,a\nu,b\nv,c\n")
    Path("out.txt").write_text("e\n")
    succeed(run, "prepare", "table", "log.csv")
    succeed(run, "train", "cooccurrence", "--set", "measure=raw")
    options: list[tuple[Any, ...]] = [
        ("-n", 2, "--exclude", "out.txt"),
        ("-n", 2, "--min-evidence", 2, "--back-off"),
        ("-n", 2, "--of", "recommendations", "--histories", "carts.csv", "--seen"),
    ]
    for number, words in enumerate(options):
        succeed(run, "export", "lists.tsv", *words)
        result = succeed(run, "publish", "parquet", f"out{number}", *words)
        rows = pq.read_table(f"out{number}/neighbours.parquet").to_pylist()
        exported = [line.split("\t") for line in Path("lists.tsv").read_text().splitlines()]
        assert [[str(value) for value in list(row.values())[:3]] for row in rows] == [line[:3] for line in exported]
        assert ("policies: min-evidence 2, back-off" in result.err) == (number == 1)
        assert "nothing is written" in succeed(run, "publish", "parquet", f"out{number}", *words).err
    assert list(rows[0]) == ["history", "rank", "item", "score"]
    result = run("publish", "parquet", "out0", *options[2])
    assert result.code == 1 and "generation 1 serves items, but this content is recommendations" in result.err
    assert run("publish", "parquet", "x", "--of", "recommendations").code == 2
    assert run("publish", "redis", "redis://h", "--of", "sessions", "--where", "year>=2000").code == 2


def test_a_day_is_sent_as_a_delta(run: Run, compass: Path, redis: Any, redis_url: str, tmp_path: Path) -> None:
    words = ("publish", "redis", redis_url, "-n", 5, "--workspace", compass, "--json", "--grace", 0)
    (tmp_path / "west").write_text("west\n")
    succeed(run, *words, "--min-score", -0.6)
    done = json.loads(succeed(run, *words, "--min-score", -0.7).out)
    assert done["generation"] == 2 and done["keys"] + done["unchanged"] == 6 and done["keys"] < 6
    assert redis.get("embedrec:served") == "1"
    done = json.loads(succeed(run, *words, "--min-score", -0.6, "--exclude", tmp_path / "west", "--full").out)
    assert done["keys"] == 6 and "unchanged" not in done and redis.get("embedrec:served") == "3"


@pytest.mark.usefixtures("qdrant_in_a_folder")
@pytest.mark.parametrize("target", ["parquet", "qdrant"])
def test_another_space_is_refused(run: Run, compass: Path, target: str) -> None:
    """Vectors of a model that was made anew are in another space, unless it is aligned."""
    words = ("publish", target, compass / "out", "--workspace", compass)
    succeed(run, *words)
    succeed(run, *words, "-n", 2)  # the same vectors
    vectors = (compass / "compass.txt").read_text().replace("north ", "centre ")
    (compass / "compass.txt").write_text(vectors)
    succeed(run, "vectors", "import", compass / "compass.txt", "--workspace", compass)
    succeed(run, "build-index", "--type", "flat", "--workspace", compass)
    result = run(*words)
    assert result.code == 1 and re.fullmatch(
        r"embedrec: the vectors are in another space \([0-9a-f]{12}\) than those of generation 2 \([0-9a-f]{12}\), so "
        r"that readers could not compare them; align the model with `embedrec refresh`, or publish them with "
        r"--new-space",
        result.err.splitlines()[-1],
    )
    assert succeed(run, *words, "--new-space").rows[0][:2] == [target, "3"]
    succeed(run, *words, "-n", 1)
