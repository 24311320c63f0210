"""`--engine spark` of the commands: the files and the output of one machine, and refused options."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import DataError
from embedrec.spark.session import SparkSettings
from embedrec.workflows import spark_split
from tests.cli.conftest import Run, fails, succeed

SPARK = ("--engine", "spark")


@pytest.mark.spark
@pytest.mark.parametrize("model", ["cooccurrence", "popular"])
def test_train(run: Run, counted: Path, spark: object, model: str) -> None:
    local = succeed(run, "train", model)
    other = succeed(run, "train", model, *SPARK, "--name", "s")
    assert other.out.split("\t")[:2] == ["s", local.out.split("\t")[1]]
    renamed = local.err.replace(f"model {model} (models/{model})", "model s (models/s)")
    assert other.err.splitlines()[:2] == renamed.splitlines()[:2]
    files = sorted(path.name for path in Path("models", model).iterdir())
    assert files == sorted(path.name for path in Path("models/s").iterdir())
    for name in set(files) - {"manifest.json"}:
        assert Path("models/s", name).read_bytes() == Path("models", model, name).read_bytes()
    assert {path.name for path in Path("models").iterdir()} == {"cooccurrence", model, "s"}  # no parts are left


@pytest.mark.spark
def test_export(run: Run, counted: Path, spark: object) -> None:
    words = ("-n", 2, "--shards", 2, "--format", "tsv", "--csls", 1)
    local, other = succeed(run, "export", "a/", *words), succeed(run, "export", "b/", *words, *SPARK)
    assert other.err == local.err.replace("a/", "b/")
    for path in Path("a").iterdir():
        assert (Path("b") / path.name).read_bytes() == path.read_bytes()


@pytest.mark.spark
def test_publish(run: Run, counted: Path, spark: object) -> None:
    words = ("-n", 2, "--min-score", 1)
    local = succeed(run, "publish", "parquet", "a", *words)
    other = succeed(run, "publish", "parquet", "b", *words, *SPARK)
    assert other.out.split("\t")[:4] == local.out.split("\t")[:4]
    assert other.err == local.err.replace("to a\n", "to b\n")
    assert Path("b/neighbours.parquet").read_bytes() == Path("a/neighbours.parquet").read_bytes()
    again = succeed(run, "publish", "parquet", "a", *words, *SPARK)  # the content has the same fingerprint
    assert "a already serves this content as generation 1; nothing is written" in again.err
    assert not [path for path in Path().iterdir() if path.name.startswith(".")]  # no parts are left


@pytest.mark.spark
def test_publish_to_redis(run: Run, counted: Path, spark: object, redis: Any, redis_url: str) -> None:
    """A second generation on Spark is sent as the same delta, and leaves the same keys."""
    states, sizes = [], []
    for engine in ((), SPARK):
        redis.flushall()
        succeed(run, "publish", "redis", redis_url, "-n", 1)
        sizes.append(succeed(run, "publish", "redis", redis_url, "-n", 2, *engine).out.split("\t")[:4])
        lists = {key: redis.lrange(key, 0, -1) for key in redis.scan_iter() if redis.type(key) == "list"}
        states.append((lists, redis.get("embedrec:served")))
    assert states[0] == states[1] and sizes[0] == sizes[1]


@pytest.mark.spark
def test_split(run: Run, counted: Path, spark: object) -> None:
    local = succeed(run, "split", "last-item", "--sessions", "log", "--name", "a")
    other = succeed(run, "split", "last-item", "--sessions", "log", "--name", "b", *SPARK)
    assert other.out == local.out
    assert other.err == local.err.replace("sessions a (sessions/a)", "sessions b (sessions/b)")


@pytest.mark.spark
def test_evaluate(run: Run, clicks: Path, spark: object) -> None:
    words = ("evaluate", "popular", "--at", "1,3", "--draws", 50)
    local, other = succeed(run, *words), succeed(run, *words, *SPARK)
    assert (other.out, other.err) == (local.out, local.err)


@pytest.mark.spark
def test_build_index(run: Run, compass: Path, spark: object) -> None:
    words = ("build-index", "--type", "IVF2,Flat", "--workspace", compass)
    local, other = succeed(run, *words, "--name", "a"), succeed(run, *words, "--name", "b", *SPARK)
    assert other.out.split("\t")[1:4] == local.out.split("\t")[1:4]
    assert (compass / "indexes/a/index.faiss").read_bytes() == (compass / "indexes/b/index.faiss").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("word2vec",),
            "embedrec: word2vec is not trained by the engine spark, which trains ar, cooccurrence, mf, popular, sr, "
            "svd; leave --engine out",
        ),
        (
            ("mf", "--set", "loss=logistic"),
            "embedrec: mf with loss=logistic is trained by gradients, which the engine spark does not do; set "
            "loss=als, or leave --engine out",
        ),
    ],
)
def test_models_that_spark_does_not_train(run: Run, counted: Path, words: tuple[str, ...], message: str) -> None:
    result = run("train", *words, *SPARK)
    assert result.code == 1 and result.err.splitlines()[-1] == message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "svd", "--from", "svd"), "--from cannot be combined with --engine spark"),
        (("train", "svd", "--resume"), "--resume cannot be combined with --engine spark"),
        (("train", "svd", "--log-to", "mlflow:x"), "--log-to cannot be combined with --engine spark"),
        (("publish", "parquet", "x", "--items", "vectors"), "--engine spark computes lists, which --items vectors lea"),
        (("evaluate", "sknn", "--grid"), "--grid measures hit rate and MRR of exact search only; leave out --engine"),
        (("export", "-"), "--engine spark writes a file or shards, not stdout; leave it out"),
        (("export", "x.vec"), "--engine spark exports lists, not vectors; leave it out"),
    ],
)
def test_options_that_spark_does_not_take(run: Run, counted: Path, words: tuple[str, ...], message: str) -> None:
    result = run(*words, *SPARK)
    assert result.code == 2 and message in re.sub(r"\s*│?\n│?\s*", " ", result.err)


def test_devices_are_not_replaced(run: Run, counted: Path) -> None:
    result = run("export", "/dev/null", *SPARK)
    assert result.code == 1 and result.err.splitlines()[-1] == (
        "embedrec: /dev/null is no file, but this export is put in place when it is whole; name a file"
    )
    assert Path("/dev/null").is_char_device()


def test_settings_in_a_file(run: Run, counted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shown(source: object, folder: Path, rule: object, spark: SparkSettings, *, seed: int) -> None:
        raise DataError(f"{spark.master} {dict(spark.conf)}")

    monkeypatch.setattr(spark_split, "split_on_spark", shown)
    Path("s.toml").write_text('[big]\nmaster = "spark://h:1"\nconf = {"spark.a" = true, "spark.b" = 2}\n[odd]\nn = 1\n')
    words = (*SPARK, "--spark-config", "s.toml:big")
    assert fails(run, "split", "tail", *words) == "spark://h:1 {'spark.a': 'true', 'spark.b': '2'}"
    words = (*words, "--master", "local", "--spark-conf", "spark.b=3")
    assert fails(run, "split", "tail", *words) == "local {'spark.a': 'true', 'spark.b': '3'}"
    for given, message in (
        ("s.toml:bigg", "s.toml has no table [bigg]; did you mean 'big'?"),
        ("s.toml:odd", "[odd] in s.toml takes master and conf, a table; correct n"),
    ):
        assert fails(run, "split", "tail", *SPARK, "--spark-config", given) == message
    for words in ((*SPARK, "--spark-config", "s.toml"), ("--spark-config", "s.toml:big")):
        assert "--spark-config" in run("split", "tail", *words).err and run("split", "tail", *words).code == 2
