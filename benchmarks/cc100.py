"""`preprocess/cc100.sh` on a synthetic text: uniform, repeatable, small in memory, and how fast.

The text has `--lines` lines of random words that end in the line's number; one in 50 is blank, two
are too short, five are among 1,000 lines that come again and again, 1.25 hold a web address.
Contenders run in turn, `--rounds` times, in this process's tree: bare `xz -dc`, the same through
`shuf -n` (a sample without filters, without duplicates' removal), and `cc100.sh` for samples of
two sizes: the more lines there are for each kept one, the fewer need a second look, and for 82 GB
it is one in hundreds.

Seconds are given by the clock and as processor time of all processes; on one core, with nothing
beside it, both are the same. It ends with an error if a sample is not uniform, not the same for the
same seed, or took 500 MB. `ratio` is bare `xz -dc`'s seconds by the contender's, medians.

example:
  taskset -c 1 python benchmarks/cc100.py --work DIR --json cc100.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import chi2

SCRIPT = Path(__file__).resolve().parents[1] / "preprocess" / "cc100.sh"
BATCH = 10_000
BINS = 100
MOST_MEMORY = 500e6
LEAST_P = 0.001
REPEATED = 1000


def vocabulary(rng: np.random.Generator) -> np.ndarray[Any, np.dtype[Any]]:
    """20,000 words, and 40,000 phrases of them, so that text compresses as English does."""
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    words = ["".join(rng.choice(letters, n)) for n in rng.integers(2, 10, 20_000)]
    usual = rng.zipf(1.3, (40_000, 4)).clip(max=20_000) - 1
    phrases = [" ".join(words[i] for i in row[: 2 + row[0] % 3]) for row in usual]
    return np.array([*words[:2000], *phrases, *words[2000:]], object)


def lines(count: int) -> Any:
    """The text's lines in batches, each as a list."""
    rng = np.random.default_rng(1)
    words = vocabulary(rng)
    chance = 1 / (np.arange(len(words)) + 20)
    chance /= chance.sum()
    repeated = [" ".join(rng.choice(words, 8, p=chance)) for _ in range(REPEATED)]
    for first in range(0, count, BATCH):
        sizes = rng.integers(3, 16, BATCH)
        drawn = words[rng.choice(len(words), sizes.sum(), p=chance)]
        ends = np.cumsum(sizes)
        batch = [
            f"{' '.join(drawn[end - size : end])} {first + n}"
            for n, (size, end) in enumerate(zip(sizes.tolist(), ends.tolist(), strict=True))
        ]
        batch[::50] = [""] * len(batch[::50])
        batch[7::25] = [f"so {first + n}" for n in range(7, BATCH, 25)]
        batch[3::10] = [repeated[i] for i in rng.integers(0, REPEATED, BATCH // 10)]
        batch[11::80] = [f"{line} https://example.com/" for line in batch[11::80]]
        yield batch


def make_text(path: Path, count: int) -> None:
    """Write the text, and the length in characters of each line that passes.

    By `xz -1`, which takes a tenth of the time of `-6` and decompresses as fast.
    """
    with path.with_suffix(".part").open("wb") as handle:
        xz = subprocess.Popen(["xz", "-1", "-c"], stdin=subprocess.PIPE, stdout=handle)
        assert xz.stdin is not None
        lengths = []
        for batch in lines(count):
            xz.stdin.write(("\n".join(batch) + "\n").encode())
            size = np.array([len(line) for line in batch], np.int32)
            size[::50] = size[7::25] = size[3::10] = size[11::80] = 0
            size[size < 20] = 0
            lengths.append(size)
        xz.stdin.close()
        if xz.wait():
            sys.exit(f"cc100: {path}: xz failed")
    np.save(path.with_suffix(".npy"), np.concatenate(lengths))
    path.with_suffix(".part").replace(path)


def timed(command: list[str]) -> dict[str, float]:
    """Run a command; seconds by the clock, and of processors."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"cc100: ended with {process.returncode}: {' '.join(command)}")
    return {
        "clock": time.perf_counter() - started,
        "processor": usage.ru_utime + usage.ru_stime,
    }


def command(text: Path, out: Path, size: int, *more: str) -> list[str]:
    """A call of `cc100.sh`."""
    return [str(SCRIPT), "--in", str(text), "--lang", "en_XX", "--out", str(out),
            "--sentences", str(size), "--valid", "2000", *more]  # fmt: skip


def remove(out: Path) -> None:
    """Remove an output and what stands beside it."""
    for path in out.parent.glob(f"{out.stem}.*"):
        if path.is_file():
            path.unlink()


def told_by(out: Path) -> dict[str, Any]:
    """The provenance of an output."""
    return dict(json.loads(Path(f"{out}.provenance.json").read_text()))


def digest(out: Path) -> str:
    """Of the training and the validation lines."""
    both = out.read_bytes() + out.with_suffix(".valid.txt").read_bytes()
    return hashlib.sha256(both).hexdigest()


def chi_square(found: np.ndarray[Any, Any], there: np.ndarray[Any, Any]) -> dict[str, float]:
    """Whether draws without replacement are uniform over bins.

    Args:
        found, there: (bins,) lines of the sample, and of the text.

    Returns:
        the statistic, divided by the share of lines that are not drawn (each line is drawn once at
        most, so that counts vary less than a multinomial's), and its p-value.
    """
    share = found.sum() / there.sum()
    expected = there * share
    statistic = float(((found - expected) ** 2 / expected).sum() / (1 - share))
    return {"statistic": statistic, "freedom": len(there) - 1,
            "p": float(chi2.sf(statistic, len(there) - 1))}  # fmt: skip


def uniformity(out: Path, lengths: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Chi-square over places in the text and over lengths; lines that must not be there."""
    sample = out.read_text().splitlines() + out.with_suffix(".valid.txt").read_text().splitlines()
    last = [line.rpartition(" ")[2] for line in sample]
    drawn = np.array([int(word) for word in last if word.isdigit()])
    passing = np.flatnonzero(lengths)
    place = chi_square(
        np.histogram(drawn, BINS, (0, len(lengths)))[0],
        np.histogram(passing, BINS, (0, len(lengths)))[0],
    )
    edges = np.unique(np.quantile(lengths[passing], np.linspace(0, 1, 51)))
    edges[-1] += 1
    length = chi_square(
        np.histogram(lengths[drawn], edges)[0], np.histogram(lengths[passing], edges)[0]
    )
    return {
        "sentences": len(sample),
        "repeated": len(sample) - len(set(sample)),
        "not_passing": int((lengths[drawn] == 0).sum()),
        "of_the_repeated_lines": len(sample) - len(drawn),
        "place": place,
        "length": length,
    }


def shortcomings(told: dict[str, Any]) -> list[str]:
    """What does not hold: under 500 MB, uniform, the same for a seed, in each run and after a kill.

    A p-value is too low below 0.001.
    """
    found = [f"{name}: {size} MiB" for name, size in told["peak_memory_mib"].items()
             if size * 2**20 >= MOST_MEMORY]  # fmt: skip
    for name, each in told["uniform"].items():
        found += [f"{name}: not uniform over {kind}, p = {each[kind]['p']:.2g}"
                  for kind in ("place", "length") if each[kind]["p"] < LEAST_P]  # fmt: skip
        found += [f"{name}: {each[kind]} lines {kind}" for kind in ("repeated", "not_passing")
                  if each[kind]]  # fmt: skip
    found += [f"{name}: samples differ" for name, same in told["same_sample_each_round"].items()
              if not same]  # fmt: skip
    return found + ["another sample after a kill"] * (not told["same_sample_after_kill"])


def killed(text: Path, out: Path, size: int, after: float) -> int | None:
    """Kill a run that saves often, go on, and return how many bytes were saved at the kill.

    None if it ended before `after` bytes were saved, as with a small text.
    """
    remove(out)
    call = command(text, out, size, "--save-minutes", "0.02")
    process = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    state = out.with_name(f"{out.name}.work") / "state"
    saved = None
    while process.poll() is None:
        time.sleep(0.2)
        if state.is_file():
            with state.open("rb") as handle:
                place = json.loads(handle.readline())["place"]["bytes"]
            if place > after:
                saved = int(place)
                break
    process.send_signal(signal.SIGKILL)
    process.wait()
    timed(call)
    return saved


def main() -> None:
    """Make the text once, run the contenders in turn, print and write what was found."""
    top = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--work", type=Path, required=True, help="for the text and the samples")
    top.add_argument("--lines", type=int, default=5_000_000, help="a multiple of 1,000,000")
    top.add_argument("--sizes", type=int, nargs=2, default=[1_000_000, 10_000], help="of samples")
    top.add_argument("--rounds", type=int, default=3)
    top.add_argument("--json", type=Path, help="also write the numbers there")
    options = top.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    text = options.work / f"text-{options.lines}.xz"
    if not text.is_file():
        make_text(text, options.lines)
    lengths = np.load(text.with_suffix(".npy"))
    outs = {size: options.work / f"sample-{size}.txt" for size in options.sizes}
    contenders = {
        "xz": ["xz", "-dc", str(text)],
        "shuf": ["bash", "-c", f"xz -dc {text} | shuf -n {options.sizes[0]}"],
        **{f"cc100-{size}": command(text, out, size) for size, out in outs.items()},
    }
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    digests: dict[str, set[str]] = {f"cc100-{size}": set() for size in outs}
    for _ in range(options.rounds):
        for out in outs.values():
            remove(out)
        for name, call in contenders.items():
            runs[name].append(timed(call))
        for size, out in outs.items():
            digests[f"cc100-{size}"].add(digest(out))
    told = summary(runs)
    told |= {"lines": options.lines, "text_bytes": text.stat().st_size, "rounds": options.rounds}
    told["peak_memory_mib"] = {
        f"cc100-{size}": told_by(out)["peak_memory_mib"] for size, out in outs.items()
    }
    told["same_sample_each_round"] = {name: len(found) == 1 for name, found in digests.items()}
    told["uniform"] = {f"cc100-{size}": uniformity(out, lengths) for size, out in outs.items()}
    size, out = options.sizes[1], outs[options.sizes[1]]
    half = told_by(out)["text_bytes"] / 2
    told["killed_after_bytes"] = killed(text, out, size, half)
    told["same_sample_after_kill"] = {digest(out)} == digests[f"cc100-{size}"]
    told["shortcomings"] = shortcomings(told)
    print(json.dumps(told, indent=2))
    if options.json:
        options.json.write_text(json.dumps({**told, "runs": runs}, indent=2) + "\n")
    if told["shortcomings"]:
        sys.exit(f"cc100: {'; '.join(told['shortcomings'])}")


def summary(runs: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Medians, and the ratio to bare `xz -dc`."""
    medians = {
        name: {key: statistics.median(run[key] for run in each) for key in each[0]}
        for name, each in runs.items()
    }
    for each in medians.values():
        each["ratio_clock"] = medians["xz"]["clock"] / each["clock"]
        each["ratio_processor"] = medians["xz"]["processor"] / each["processor"]
    return {name: {key: round(x, 3) for key, x in each.items()} for name, each in medians.items()}


if __name__ == "__main__":
    main()
