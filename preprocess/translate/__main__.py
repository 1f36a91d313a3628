"""What `translate.sh` runs: a file into another language by a line-by-line command, in shards."""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from text_files import DataError, one_line, refuse_gzip
from translate_lines import Counts, lines_of, put_back, read_rows, write_lines
from translate_shards import Shards, locked, remove_shards, write_json, write_shards

STOPS = (signal.SIGTERM, signal.SIGHUP)
EXAMPLE = """\
Rows, their order and the other columns stay; ` ⏎ `, the mark between paragraphs, stays in its place
and is not sent. Beside the output OUT.provenance.json tells what made it.

example:
  preprocess/translate.sh --in en.train.tsv.xz --out fr.train.tsv \\
      --command 'preprocess/apertium_lines.sh eng-cat cat-fra' \\
      --version-command 'preprocess/apertium_lines.sh --version'
"""


def sha256(path: Path) -> str:
    """A file's SHA-256."""
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def engine_version(command: str | None) -> str | None:
    """What the version command prints, on one line."""
    if command is None:
        return None
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    if done.returncode:
        told = done.stderr.strip().splitlines() or ["it said nothing"]
        raise DataError(f"--version-command ended with {done.returncode}: {told[-1]}")
    return "; ".join(done.stdout.split("\n")).strip("; ")


def make_fingerprint(options: argparse.Namespace) -> dict[str, Any]:
    """What must not change before the output is whole, nor differ when it is there already."""
    return {
        "input_sha256": sha256(options.input),
        "columns": options.columns,
        "command": options.command,
        "version": engine_version(options.version_command),
        "shard_lines": options.shard_lines,
    }


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """The first thing in which two fingerprints differ."""
    for key, value in ours.items():
        if theirs.get(key) != value:
            return f"{key.replace('_', ' ')} was {theirs.get(key)!r}, now is {value!r}"
    return ""


def is_done(options: argparse.Namespace, fingerprint: dict[str, Any]) -> bool:
    """Whether the output is there, made from this; refuse one that something else made."""
    provenance = provenance_path(options.out)
    if not options.out.exists():
        return False
    if not provenance.is_file():
        if (options.work / "plan.json").is_file():
            return False  # killed between the output and its provenance
        raise DataError(f"{options.out} is there, without {provenance.name}: name another --out")
    told = read_json(provenance)
    if changed := differences(fingerprint, told):
        raise DataError(f"{options.out} is there already: {changed}; name another --out")
    if told["output_sha256"] != sha256(options.out):
        raise DataError(f"{options.out} is not what {provenance.name} tells of: delete both")
    return True


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file of ours holds."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise DataError(f"{path}: not readable as JSON ({error}): delete it") from error


def provenance_path(out: Path) -> Path:
    """The JSON beside an output."""
    return out.with_name(f"{out.name}.provenance.json")


def make_plan(options: argparse.Namespace, fingerprint: dict[str, Any]) -> list[int]:
    """Cut the input into shards, or find them cut by the same; return the lines of each."""
    path = options.work / "plan.json"
    if path.is_file() and not any(options.work.glob("[0-9]*.out")):
        path.unlink()  # no shard is finished: a mended command or input may begin anew
    if not path.is_file():
        if not any(True for _ in read_rows(options.input, None)):
            raise DataError(f"{options.input}: empty")
        rows = read_rows(options.input, options.columns)
        lines = (line for row in rows for line in lines_of(row, options.columns))
        write_shards(options.work, lines, options.shard_lines, fingerprint)
    plan = read_json(path)
    if changed := differences(fingerprint, plan["fingerprint"]):
        raise DataError(
            f"{options.work} was begun otherwise: {changed}; delete it or name another --work"
        )
    return list(plan["lines"])


def translate(options: argparse.Namespace) -> None:
    """Run the shards that are missing, join them, write the output and then its provenance."""
    refuse_gzip(options.out)
    fingerprint = make_fingerprint(options)
    if is_done(options, fingerprint):
        print(f"translate: {options.out}: up to date")
        return
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with locked(options.work):
        counts = make_plan(options, fingerprint)
        shards = Shards(options.work, counts, options.command, options.jobs)
        run = shards.run()
        if sha256(options.input) != fingerprint["input_sha256"]:
            raise DataError(f"{options.input} changed while it was translated: run again")
        result = join(options, shards)
        lines, seconds = sum(counts), shards.seconds()
        write_json(
            provenance_path(options.out),
            {"input": str(options.input), "output": str(options.out), **fingerprint,
             "output_sha256": sha256(options.out), "rows": result.rows, "lines": lines,
             "empty_lines": result.empty, "unchanged_lines": result.unchanged,
             "shards": len(counts), "shards_of_last_run": run, "seconds": round(seconds, 1),
             "date": datetime.now(UTC).isoformat(timespec="seconds")},
        )  # fmt: skip
        if not options.keep_work:
            remove_shards(options.work)
    print(
        f"translate: {options.out}: {result.rows:,} rows, {lines:,} lines in {seconds:.0f} s; "
        f"{result.empty:,} came out empty, {result.unchanged:,} unchanged"
    )
    if result.empty:
        print(f"translate: the first empty translation is in row {result.first_empty}; it is kept")


def join(options: argparse.Namespace, shards: Shards) -> Counts:
    """Write the output from the input's rows and the translated lines."""
    counts, translated = Counts(), shards.translated()
    rows = read_rows(options.input, options.columns)
    write_lines(options.out, (put_back(r, options.columns, translated, counts) for r in rows))
    return counts


def columns(text: str) -> list[int]:
    """Parse `--columns`."""
    numbers = [int(part) for part in text.split(",")]
    if min(numbers) < 1 or len(set(numbers)) < len(numbers):
        raise argparse.ArgumentTypeError(f"{text}: columns counted from 1, each once")
    return sorted(numbers)


def positive(text: str) -> int:
    """Parse a count."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: at least 1")
    return number


def parser() -> argparse.ArgumentParser:
    """The command line, as `translate.sh` shows it."""
    top = argparse.ArgumentParser(
        prog="translate.sh",
        description="A TSV of pairs or a text into another language, by a line-by-line command.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = top.add_argument
    add("--in", dest="input", type=Path, required=True, metavar="FILE", help="TSV or text, or .xz")
    add("--out", type=Path, required=True, metavar="FILE", help="the same, translated; .xz as well")
    add("--command", required=True, help="run by bash: lines on stdin, as many lines on stdout")
    add("--version-command", metavar="COMMAND", help="prints the engine's version, to be recorded")
    add("--columns", type=columns, metavar="N,N", help="of a TSV, to translate (3,4)")
    add("--shard-lines", type=positive, default=1000, metavar="N", help="(%(default)s)")
    add("--jobs", type=positive, default=1, metavar="N", help="shards side by side (%(default)s)")
    add("--work", type=Path, metavar="DIR", help="where shards are kept (OUT.work)")
    add("--keep-work", action="store_true", help="leave the work folder when all is done")
    return top


def stop(number: int, frame: FrameType | None) -> None:
    """Stop as Ctrl-C does; a second signal, as a lost connection sends, does not disturb that."""
    for each in STOPS:
        signal.signal(each, lambda *_: None)  # unlike SIG_IGN, a new process does not inherit this
    raise KeyboardInterrupt


def catch_stops() -> None:
    """Let the signals of a kill and of a lost connection stop this, but not what nohup ignores."""
    for number in STOPS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)


def main() -> int:
    """Translate; an error is one line."""
    options = parser().parse_args()
    options.work = options.work or options.out.with_name(f"{options.out.name}.work")
    if ".tsv" in options.input.suffixes:
        options.columns = options.columns or [3, 4]
    elif options.columns:
        parser().error(f"--columns: {options.input} is not a .tsv")
    catch_stops()
    try:
        translate(options)
    except (DataError, OSError) as error:
        print(f"translate: {one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("translate: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
