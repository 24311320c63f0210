"""The examples of `scripts/consumers` read what was published."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from embedrec.publish.endpoint import Endpoint
from embedrec.publish.generations import publish
from embedrec.publish.parquet import publish_folder
from embedrec.publish.postgres import Postgres
from embedrec.publish.qdrant import Qdrant
from embedrec.publish.redis import Redis
from embedrec.publish.redis_commands import READ_LIST
from tests.conftest import slow_nearest
from tests.publish.content import content, lists

CONSUMERS = Path(__file__).parents[2] / "scripts" / "consumers"
CONTENT = content(30, 4, parts="neighbours", short=False)
ITEM = CONTENT.vocab.id(3)


@pytest.fixture(scope="module")
def python() -> ModuleType:
    spec = importlib.util.spec_from_file_location("consumer", CONSUMERS / "similar.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def node(*words: str) -> list[str]:
    process = subprocess.run(
        ["node", str(CONSUMERS / "similar.mjs"), *words], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.splitlines()


def message_of(*words: str) -> str:
    """The message of an example that exits with 1, one line."""
    program = ["node", str(CONSUMERS / "similar.mjs")] if words[0] == "node" else [sys.executable, "similar.py"]
    process = subprocess.run([*program, *words[1:]], capture_output=True, text=True, check=False, cwd=CONSUMERS)
    assert process.returncode == 1 and not process.stdout and process.stderr.count("\n") == 1, process.stderr
    return process.stderr.strip()


@pytest.mark.usefixtures("qdrant_in_a_folder")
def test_nothing_is_published(
    redis: Any, redis_url: str, postgres: Any, postgres_url: str, tmp_path: Path, python: ModuleType
) -> None:
    publish(CONTENT, Redis(Endpoint(redis_url), prefix="text", format="json"))
    assert message_of("python", redis_url, ITEM) == "similar.py: nothing is published under embedrec"
    assert "WRONGTYPE" in message_of("python", redis_url, ITEM, "--prefix", "text")
    assert message_of("python", postgres_url, ITEM) == "similar.py: nothing is published under embedrec"
    typo = str(tmp_path / "typo")
    assert message_of("python", typo, ITEM) == f"similar.py: nothing is published in {typo}"
    assert not list(tmp_path.iterdir())
    with pytest.raises(LookupError, match="nothing is published under embedrec"):
        python.from_redis_in_one_step(redis_url, "embedrec", ITEM)
    publish(content(30, 4), Qdrant(Endpoint(str(tmp_path / "qdrant"))))
    with pytest.raises(LookupError, match="nothing is published under other"):
        python.from_qdrant(str(tmp_path / "qdrant"), "other", ITEM)
    if shutil.which("node") is not None:
        assert message_of("node", redis_url, ITEM) == "similar.mjs: nothing is published under embedrec"
        assert "WRONGTYPE" in message_of("node", redis_url, ITEM, "text")


def test_redis(redis: Any, redis_url: str, python: ModuleType) -> None:
    publish(CONTENT, Redis(Endpoint(redis_url)))
    assert python.from_redis(redis_url, "embedrec", ITEM, False) == lists(CONTENT)[ITEM]
    assert python.from_redis_in_one_step(redis_url, "embedrec", ITEM) == lists(CONTENT)[ITEM]
    assert python.from_redis(redis_url, "embedrec", "nobody", False) == []
    assert python.ONE_STEP.strip() == READ_LIST
    publish(CONTENT, Redis(Endpoint(redis_url), format="json"), grace=0)
    assert python.from_redis(redis_url, "embedrec", ITEM, True) == lists(CONTENT)[ITEM]


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
def test_redis_from_node(redis: Any, redis_url: str) -> None:
    publish(CONTENT, Redis(Endpoint(redis_url)))
    publish(CONTENT, Redis(Endpoint(redis_url), format="json", prefix="json"))
    assert node(redis_url, ITEM) == node(redis_url, ITEM, "json", "--json") == lists(CONTENT)[ITEM]
    assert node(redis_url, "nobody") == node(redis_url, "nobody", "json", "--json") == []
    process = subprocess.run(["node", str(CONSUMERS / "similar.mjs"), redis_url.replace("s3cret", "wr0ng"), ITEM],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert process.returncode == 1 and "WRONGPASS" in process.stderr and "wr0ng" not in process.stderr


def test_postgres(postgres: Any, postgres_url: str, python: ModuleType) -> None:
    publish(CONTENT, Postgres(Endpoint(postgres_url)))
    assert python.from_postgres(postgres_url, "embedrec", ITEM) == lists(CONTENT)[ITEM]


@pytest.mark.usefixtures("qdrant_in_a_folder")
def test_files(tmp_path: Path, python: ModuleType) -> None:
    publish_folder(CONTENT, tmp_path / "files")
    assert python.from_parquet(str(tmp_path / "files"), ITEM) == lists(CONTENT)[ITEM]
    both = content(30, 4)
    publish(both, Qdrant(Endpoint(str(tmp_path / "qdrant"))))
    assert both.vectors is not None
    neighbours = slow_nearest(both.vectors.vectors, both.vectors.vectors[3], "cosine", 20, without=3)
    assert python.from_qdrant(str(tmp_path / "qdrant"), "embedrec", ITEM) == [both.vocab.id(r) for r in neighbours]


def test_the_commands_of_the_documentation(redis: Any, redis_url: str) -> None:
    page = (CONSUMERS.parents[1] / "docs" / "how-to" / "publish.md").read_text()
    (script,) = re.findall(r'^EVAL "(.*)" 0 embedrec ITEM$', page, flags=re.MULTILINE)
    publish(CONTENT, Redis(Endpoint(redis_url)))
    assert redis.eval(script, 0, "embedrec", ITEM) == lists(CONTENT)[ITEM]
    with redis.pipeline() as pipe:
        pipe.watch("embedrec:served")
        served = pipe.get("embedrec:served")
        pipe.multi()
        pipe.lrange(f"embedrec:{served}:{ITEM}", 0, -1)
        assert pipe.execute() == [lists(CONTENT)[ITEM]]
