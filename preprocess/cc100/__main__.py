"""What `cc100.sh` runs: a seeded random sample of the sentences of a big text, in one pass."""

from __future__ import annotations

import argparse
import contextlib
import lzma
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cc100_filters import REASONS, Filters
from cc100_options import choices_of, parser
from cc100_run import State, run
from cc100_sample import Sampler
from cc100_stream import Place
from text_files import DataError, one_line, refuse_gzip
from translate import differences, provenance_path, read_json, sha256
from translate_shards import locked, write_json

FORMAT = "laft-cc100/1"
XZ_PRESET = 3  # ten times as fast as 9e, a sixth larger


def valid_path(out: Path) -> Path:
    """`en_XX.txt.xz` -> `en_XX.valid.txt.xz`."""
    stem, dot, suffixes = out.name.partition(".")
    return out.with_name(f"{stem}.valid{dot}{suffixes}")


def sampler_of(choices: dict[str, Any]) -> Sampler:
    """The empty sampler. Its filters' table is made now: a wrong script is told at once."""
    names = ("script", "min_chars", "max_chars", "min_letters", "min_script", "addresses")
    filters = Filters(**{name: choices[name] for name in names})
    _ = filters.table
    return Sampler(filters, choices["sentences"] + choices["valid"], choices["seed"],
                   choices["duplicates"] == "loose", choices["first"])  # fmt: skip


def is_done(options: argparse.Namespace, choices: dict[str, Any]) -> bool:
    """Whether the output is there, made from this; refuse one that something else made."""
    out, provenance = options.out, provenance_path(options.out)
    if not out.exists():
        return False
    if not provenance.is_file():
        if (options.work / "state").is_file():
            return False  # killed between the output and its provenance
        raise DataError(f"{out} is there, without {provenance.name}: name another --out")
    told = read_json(provenance)
    if changed := differences(choices, told.get("choices", {})):
        raise DataError(f"{out} is there already: {changed}; name another --out")
    for name, file in told["files"].items():
        if sha256(out.with_name(name)) != file["sha256"]:
            raise DataError(f"{out.with_name(name)} is not what {provenance.name} tells of")
    return True


def write_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Write lines under a temporary name, `.xz` compressed, and rename."""
    partial = path.with_name(f".{path.name}.part")
    with (
        lzma.open(partial, "wb", preset=XZ_PRESET)
        if path.suffix == ".xz"
        else partial.open("wb") as handle
    ):
        handle.writelines(line + b"\n" for line in lines)
    partial.replace(path)


def dropped(sampler: Sampler) -> dict[str, Any]:
    """What became of the lines, as far as it is known without a bias."""
    counts, share = sampler.census.below(sampler.threshold)
    return {"share_of_lines": share, "lines": sum(counts.values()), **counts}


def passing(sampler: Sampler) -> dict[str, Any]:
    """How many distinct sentences pass; not known where reading stopped early."""
    if sampler.first:
        return {}
    return {"passing": sampler.passing(), "passing_is_estimate": not sampler.saw_all}


def tell(sampler: Sampler, say: Callable[[str], None]) -> None:
    """What a person has to know about the lines, kept or not."""
    found = dropped(sampler)
    say(f"{sampler.lines:,} lines read, {sampler.blank:,} of them blank")
    which = "" if sampler.saw_all else f"a random {found['share_of_lines']:.2%} of them, "
    shares = [
        f"{reason} {found[reason]:,} ({found[reason] / found['lines']:.1%})"
        for reason in REASONS
        if found[reason]
    ]
    say(f"of {which}{found['lines']:,} lines: {', '.join(shares) or 'nothing'}")
    if not sampler.saw_all:
        error = 1 / sampler.size**0.5
        say(f"about {sampler.passing():,} distinct sentences pass (estimated, error {error:.1%})")


def sample(options: argparse.Namespace) -> None:
    """Read, write the sample and then its provenance."""
    refuse_gzip(options.out)
    choices = choices_of(options)
    if is_done(options, choices):
        print(f"cc100: {options.out}: up to date")
        return
    sampler = sampler_of(choices)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    state = State(options.work / "state", choices)
    with locked(options.work), tidied(options.work):
        place, seconds = run(
            options.input, sampler, state, 60 * options.save_minutes, options.log_seconds
        )
        tell(sampler, lambda text: print(f"cc100: {options.input}: {text}", flush=True))
        if len(sampler) <= options.valid:
            raise DataError(
                f"{options.input}: only {len(sampler):,} sentences pass, and --valid takes "
                f"{options.valid:,}: see the counts above, and the filters in --help"
            )
        state.save(sampler, place, seconds)
        write(options, choices, sampler, place, seconds)
        state.path.unlink()


@contextlib.contextmanager
def tidied(work: Path) -> Iterator[None]:
    """Remove the work folder in the end, unless it holds a state, or what is not ours."""
    try:
        yield
    finally:
        if not (work / "state").exists():
            (work / "lock").unlink()
            with contextlib.suppress(OSError):
                work.rmdir()


def peak_memory() -> int | None:
    """This process's largest resident memory in MiB, where the system tells it."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) // 1024 if found else None


def write(options: argparse.Namespace, choices: dict[str, Any], sampler: Sampler, place: Place,
          seconds: float) -> None:  # fmt: skip
    """The validation lines, the provenance, and last the training lines."""
    valid = options.valid  # the lines with the smallest keys: any are random
    files = {valid_path(options.out): sampler.held[:valid], options.out: sampler.held[valid:]}
    if not valid:
        files.pop(valid_path(options.out))
    for path, lines in files.items():
        write_lines(path, lines)
        print(f"cc100: {path}: {len(lines):,} sentences")
    if len(sampler) < sampler.size and not choices["first"]:
        print("cc100: that is all there are: fewer than asked for")
    size = None if options.input == "-" else Path(options.input).stat().st_size
    write_json(
        provenance_path(options.out),
        {"format": FORMAT, "choices": choices, "input_bytes": size, "text_bytes": place.bytes,
         "text_crc32": f"{place.check:08x}", "lines": sampler.lines, "blank": sampler.blank,
         **passing(sampler),
         "looked_at": dropped(sampler),
         "files": {p.name: {"sentences": len(lines), "sha256": sha256(p)}
                   for p, lines in files.items()},
         "seconds": round(seconds, 1),
         "peak_memory_mib": peak_memory(),
         "date": datetime.now(UTC).isoformat(timespec="seconds")},
    )  # fmt: skip


def main() -> int:
    """Sample; an error is one line."""
    options = parser().parse_args()
    options.work = options.work or options.out.with_name(f"{options.out.name}.work")
    try:
        sample(options)
    except (DataError, OSError) as error:
        print(f"cc100: {one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cc100: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
