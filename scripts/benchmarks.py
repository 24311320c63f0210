"""The pages docs/benchmarks.md and docs/articles.md, from records of the commands that measured.

usage: python scripts/benchmarks.py list                           the measurements, and when each was recorded
       python scripts/benchmarks.py run NAME... [--data FOLDER]    run their commands, record them, write the pages
       python scripts/benchmarks.py write                          write the pages

scripts/bench/measurements.toml holds the text and the command of each measurement, scripts/bench/records/NAME.json the
last output with date, commit and machine. {data} in a command is the folder of --data. An experiment (`embedrec run`)
is run in a temporary workspace, and its output is tables.md; the output of another command is what it prints.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / "scripts" / "bench"
PAGES = {"benchmarks": ROOT / "docs" / "benchmarks.md", "articles": ROOT / "docs" / "articles.md"}


@dataclass(frozen=True)
class Measurement:
    """One command, and what the page says about it.

    title, text  heading and Markdown before the output
    earlier      Markdown of measurements from before the records, which stays below the record
    """

    name: str
    title: str
    command: str
    text: str = ""
    earlier: str = ""


@dataclass(frozen=True)
class Record:
    """What a command printed, when, and on what machine."""

    command: str
    date: str
    commit: str
    machine: str
    python: str
    output: str


def measurements(page: str) -> list[Measurement]:
    """The measurements of a page, in order."""
    return [Measurement(**fields) for fields in _contents()[page]["measurements"]]


def _contents() -> dict[str, dict]:
    return tomllib.loads((BENCH / "measurements.toml").read_text(encoding="utf-8"))


def record_of(name: str, records: Path) -> Record | None:
    """The record of a measurement, or None."""
    path = records / f"{name}.json"
    return Record(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def page_text(page: str, records: Path = BENCH / "records") -> str:
    """The Markdown of a page."""
    contents = _contents()[page]
    parts = [f"# {contents['title']}", "<!-- written by scripts/benchmarks.py -->", contents["text"].strip()]
    for measurement in measurements(page):
        record = record_of(measurement.name, records)
        parts.append(f"## {measurement.title}")
        if measurement.text:
            parts.append(measurement.text.strip())
        if record is None:
            parts += [f"`{measurement.command}`:", measurement.earlier.strip() or "Not recorded yet."]
            continue
        where = f"{record.date}, commit {record.commit}, {record.machine}, Python {record.python}"
        parts += [f"`{record.command}`, {where}:", _shown(record.output)]
        if measurement.earlier:
            parts += ["Earlier:", measurement.earlier.strip()]
    return "\n\n".join([*parts, contents.get("end", "").strip()]).rstrip() + "\n"


def _shown(output: str) -> str:
    """Output with a Markdown table as it is, other output as a block."""
    if any(line.startswith("|") for line in output.splitlines()):
        return output.strip()
    return f"```text\n{output.rstrip()}\n```"


def measure(measurement: Measurement, data: Path) -> Record:
    """Run the command in the root of the repository.

    Raises CalledProcessError if it fails.
    """
    words = [word.replace("{data}", str(data)) for word in shlex.split(measurement.command)]
    program = {"python": [sys.executable], "embedrec": [sys.executable, "-m", "embedrec"]}[words[0]]
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        experiment = words[:2] == ["embedrec", "run"]
        command = [*program, *words[1:], *(["--workspace", folder] if experiment else [])]
        done = subprocess.run(command, check=True, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
        tables = sorted(Path(folder).rglob("tables.md")) if experiment else []
        output = "\n\n".join(path.read_text(encoding="utf-8") for path in tables) if experiment else done.stdout
    return Record(
        command=measurement.command,
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        commit=_commit(),
        machine=machine(),
        python=platform.python_version(),
        output=output.replace(str(data), "{data}"),
    )


def _commit() -> str:
    """The last commit that changed the package, with + if files differ from it."""
    commands = (
        ["git", "log", "-1", "--format=%h", "--", "embedrec"],
        ["git", "status", "--porcelain", "--", "embedrec"],
    )
    commit, changed = (subprocess.check_output(command, cwd=ROOT, text=True).strip() for command in commands)
    return commit + ("+" if changed else "")


def machine() -> str:
    """Cores that this process may use, model of the processor, and the load of the last minute."""
    models = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    model = models[0] if models else platform.machine()
    return f"{len(os.sched_getaffinity(0))} cores of {model}, load {os.getloadavg()[0]:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["list", "run", "write"])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("EMBEDREC_DATA", ROOT.parent / "shared" / "data"))
    )
    given = parser.parse_args()
    known = {measurement.name: measurement for page in PAGES for measurement in measurements(page)}
    if given.action == "list":
        for name, measurement in known.items():
            record = record_of(name, BENCH / "records")
            print(f"{name:24} {record.date if record else 'no record':10}  {measurement.command}")
        return
    if unknown := [name for name in given.names if name not in known]:
        parser.error(f"there is no measurement {unknown[0]!r}; `list` prints their names")
    for name in given.names:
        record = measure(known[name], given.data)
        path = BENCH / "records" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(asdict(record), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"recorded {name} in {path.relative_to(ROOT)}")
    for page, path in PAGES.items():
        path.write_text(page_text(page), encoding="utf-8")


if __name__ == "__main__":
    main()
