"""What `translate.sh` runs: a file into another language by a line-by-line command, in shards."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from laft_fairseq.errors import LaftError
from laft_fairseq.files import write_json
from preprocess.common.command import column_numbers, command_parser, positive, run_command
from preprocess.common.files import is_up_to_date, provenance_path, sha256, write_lines
from preprocess.translate.lines import Counts, lines_to_send, read_rows, translated_rows
from preprocess.translate.shards import locked, plan_shards, remove_shards, run_shards, translations

STOPS = (signal.SIGTERM, signal.SIGHUP)
STOPPED = 130  # exit status
EXAMPLE = """\
Rows, their order and the other columns stay; ` ⏎ `, the mark between paragraphs, stays in its place
and is not sent. OUT.provenance.json records what made the output.

example:
  preprocess/translate.sh --in en.train.tsv.xz --out fr.train.tsv \\
      --command 'preprocess/apertium_lines.sh eng-cat cat-fra' \\
      --version-command 'preprocess/apertium_lines.sh --version'
"""


def engine_version(command: str | None) -> str | None:
    """What the version command prints, on one line."""
    if command is None:
        return None
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    if done.returncode:
        message = done.stderr.strip() or "without a message"
        raise LaftError(
            f"--version-command ended with {done.returncode}: {message.splitlines()[-1]}"
        )
    return "; ".join(done.stdout.split("\n")).strip("; ")


def translate(options: argparse.Namespace) -> None:
    """Run the shards that are missing, join them, write the output and then its provenance."""
    settings = {
        "input_sha256": sha256(options.input),
        "columns": options.columns,
        "command": options.command,
        "version": engine_version(options.version_command),
        "shard_lines": options.shard_lines,
    }
    if is_up_to_date(options.out, settings, resuming=(options.work / "plan.json").is_file()):
        print(f"translate: {options.out}: up to date")
        return
    started = time.monotonic()
    file, work, counts = (options.input, options.columns), options.work, Counts()
    if next(read_rows(*file), None) is None:
        raise LaftError(f"{options.input}: empty")
    with locked(work):
        lines = plan_shards(work, lines_to_send(*file), options.shard_lines, settings)
        count = run_shards(work, lines, options.command, options.jobs)
        if sha256(options.input) != settings["input_sha256"]:
            raise LaftError(f"{options.input} changed while it was translated: run again")
        results = translations(work, len(lines))
        write_lines(options.out, translated_rows(*file, results, counts))
        write_json(
            provenance_path(options.out),
            {"input": str(options.input), "output": str(options.out), **settings,
             "output_sha256": sha256(options.out), "rows": counts.rows, "lines": sum(lines),
             "empty_lines": counts.empty, "unchanged_lines": counts.unchanged,
             "shards": len(lines), "shards_of_last_run": count,
             "seconds_of_last_run": round(time.monotonic() - started, 1),
             "date": datetime.now(UTC).isoformat(timespec="seconds")},
        )  # fmt: skip
        remove_shards(work)
    print(
        f"translate: {options.out}: {counts.rows:,} rows, {sum(lines):,} lines; "
        f"{counts.empty:,} came out empty, {counts.unchanged:,} unchanged"
    )
    if counts.empty:
        print(f"translate: the first empty translation is in row {counts.first_empty}; it is kept")


def parser() -> argparse.ArgumentParser:
    """The command line, as `translate.sh` shows it."""
    top = command_parser(
        "translate.sh",
        "A TSV of pairs or a text into another language, by a line-by-line command.",
        EXAMPLE,
    )
    add = top.add_argument
    add("--in", dest="input", type=Path, required=True, metavar="FILE", help="TSV or text, or .xz")
    add("--out", type=Path, required=True, metavar="FILE", help="the same, translated; .xz as well")
    add("--command", required=True, help="run by bash: lines on stdin, as many lines on stdout")
    add("--version-command", metavar="COMMAND", help="prints the engine's version, to be recorded")
    add("--columns", type=column_numbers, metavar="N,N", help="of a TSV, to translate (3,4)")
    add("--shard-lines", type=positive, default=1000, metavar="N", help="(%(default)s)")
    add("--jobs", type=positive, default=1, metavar="N", help="shards side by side (%(default)s)")
    add("--work", type=Path, metavar="DIR", help="where shards are kept (OUT.work)")
    return top


def stop(number: int, frame: FrameType | None) -> None:
    """Stop as Ctrl-C does; a second signal, as a lost connection sends, does not disturb that."""
    for each in STOPS:
        signal.signal(each, lambda *_: None)  # unlike SIG_IGN, a new process does not inherit this
    raise KeyboardInterrupt


def main() -> int:
    """Translate; a kill or a lost connection stops it, unless nohup has it ignored."""
    options = parser().parse_args()
    options.work = options.work or options.out.with_name(f"{options.out.name}.work")
    if ".tsv" in options.input.suffixes:
        options.columns = sorted(options.columns or [3, 4])
    elif options.columns:
        parser().error(f"--columns: {options.input} is not a .tsv")
    for number in STOPS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
    stopped = "stopped; the same command goes on from here"
    code = run_command("translate", lambda: translate(options), stopped)
    for each in STOPS if code == STOPPED else ():
        signal.signal(each, signal.SIG_IGN)  # Python gives up its own handlers while it exits
    return code


if __name__ == "__main__":
    sys.exit(main())
