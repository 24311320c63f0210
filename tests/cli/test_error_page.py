"""The messages of typical mistakes, on one page that can be read as a whole: error_page.txt."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import VECTORS, Run, succeed

PAGE = Path(__file__).with_name("error_page.txt")
REWRITE = "EMBEDREC_REWRITE_PAGE"  # set in the environment: write the page instead of comparing

COMMANDS = """\
# Nothing to work on
train word2vec --workspace empty
build-index --workspace empty
similar north --workspace empty

# Misspelt names
simlar north
prepare tabel log.csv
train word2vek
similar nort-east
similar north --index compas-flat
similar north --model knn
compare popular knn
info nothing
diff compass-flat nothing

# Options
similar north --wher year>=2000
similar north --threads 0
similar north -n many
similar north --nprobe 4
similar north --model compass --index compass-flat
similar north -south
recommend a --index compass-flat
neighbours
neighbours --session 99 --model sknn
export similar.txt --resume --format yaml
export - --resume
export folder/
export similar.txt --of recommendations
export similar.txt --cap artist
completion tcsh

# Settings
train word2vec --set windwo=3
train word2vec --set dim=many
train word2vec --set dim=0
train word2vec --set dim
train word2vec --dim 100
train word2vec dim=100
train word2vec --config nowhere.toml
train word2vec --config broken.toml
train word2vec --config unknown.toml
train popular --resume
tune word2vec
tune popular

# Files
prepare log.csv
prepare table nowhere.csv
prepare table empty.csv
prepare table picture.csv
prepare table log.csv --item song
prepare table dates.csv
prepare table log.csv --name a/b
prepare table log.csv --min-rating high
prepare table log.csv --gap soon
prepare mpd folder
vectors import log.csv
vectors import zero.txt
vectors export popular.vec --model popular
run nowhere.toml
run unknown.toml

# Items and features
similar north --where year
similar north --where year>=2000
similar a --model cooccurrence --where yaer>=2000
similar a --model cooccurrence --where genre>=2000
similar north --only nothing.txt
similar north --only picture.csv
report --item nobody
items nobody

# Indexes
build-index --model popular
build-index --model compass --type ivff
build-index --model compass --target-recall 2@20
build-index --model compass --max-p95 0
build-index --model compass --max-p95 fast
build-index --model compass --max-ram lots
build-index --model compass --of sessions
build-index --model compass --type flat --max-ram 0.01K
update-index compass-flat
update-index compass-flat --add log.csv
update-index compass-flat --remove nothing.txt
neighbours a --index compass-flat
similar north --index damaged
export similar.txt --index old-flat

# Evaluation
split tomorrow
split time:days=soon
split time:dyas=7
evaluate popular --at 100
evaluate popular --at ten
evaluate popular --at 2 --protocol similar --labels mood
evaluate popular --at 2 --labels genre
evaluate popular --grid
evaluate sknn --grid --neighbours none
evaluate sknn --grid --by length
evaluate popular --at 2 --through flat
evaluate compass --at 2
compare popular popular
compare popular --at 2 --metrics accuracy@5
compare popular --csv --json

# Publishing
publish redis
publish redis example.com
publish qdrant folder --items neighbours
publish parquet log.csv
"""


def build_workspace(run: Run) -> None:
    """Sessions with features, models with and without vectors, and a flat index, in the current folder."""
    Path("log.csv").write_text(
        "session,item,time\n"
        + "".join(
            f"{s},{i},{1700000000 + 1000 * s + 10 * at}\n"
            for s, items in enumerate(["abc", "abc", "abd", "de", "ead", "cb"])
            for at, i in enumerate(items)
        )
    )
    Path("features.csv").write_text("item,year,genre\na,1999,rock\nb,2001,pop\nc,2010,pop\nd,2020,rock\ne,2021,jazz\n")
    Path("compass.txt").write_text(VECTORS)
    Path("old.txt").write_text("2 2\nleft -1 0\nright 1 0\n")
    Path("empty.csv").touch()
    Path("picture.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    Path("dates.csv").write_text("session,item,time\n1,a,2024-01-31\n1,b,2024-02-31\n")
    Path("zero.txt").write_text("2 2\na 0 1\nb nan 0\n")
    Path("broken.toml").write_text("[train.word2vec\ndim = 10\n")
    Path("unknown.toml").write_text("[train.word2vec]\ndmi = 10\n")
    Path("empty").mkdir()
    Path("folder").mkdir()
    succeed(run, "prepare", "table", "log.csv", "--item-features", "features.csv")
    succeed(run, "train", "popular")
    succeed(run, "train", "cooccurrence")
    succeed(run, "train", "sknn")
    succeed(run, "vectors", "import", "old.txt")
    succeed(run, "build-index", "--type", "flat", "--model", "old")
    succeed(run, "build-index", "--type", "flat", "--model", "old", "--name", "damaged")
    Path("old.txt").write_text("2 2\nleft -1 0\nright 0 1\n")
    succeed(run, "vectors", "import", "old.txt")
    index = Path("indexes", "damaged", "index.faiss")
    index.write_bytes(index.read_bytes()[:-7])
    succeed(run, "vectors", "import", "compass.txt")
    succeed(run, "build-index", "--type", "flat")


def test_page_of_errors(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("EMBEDREC_REDIS_URL", raising=False)
    build_workspace(run)
    monkeypatch.setitem(sys.modules, "optuna", None)  # as where the extra is missing
    page = []
    for line in COMMANDS.splitlines():
        if not line or line.startswith("#"):
            page.append(line)
            continue
        result = run(*shlex.split(line))
        message = result.err.splitlines()[-1].replace(str(tmp_path), "FOLDER")
        assert result.code in (1, 2, 3), f"{line} does not fail"
        page += [f"$ embedrec {line}", message, f"exit code {result.code}", ""]
    text = "\n".join(page)
    if REWRITE in os.environ:
        PAGE.write_text(text)
    assert text == PAGE.read_text(), f"if the messages are better, run this test with {REWRITE}=1"
