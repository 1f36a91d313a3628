#!/usr/bin/env python
"""The whole chain of commands on a model of mBART-large's size: peak memory and time of each.

    python benchmarks/full_size.py --work DIR
    python benchmarks/full_size.py --work DIR --layers 2 --width 64 --ffn 128 --heads 2 \\
        --pieces 12500                                  # a rehearsal, in minutes

A Hugging Face directory with random weights is made (benchmarks/random_mbart.py), imported, used
to binarise a few hundred real lines, then components, two updates of each stage, two of full
finetuning, generation and export follow, each a command as a user types it. Random weights change
neither memory nor time, but what is generated means nothing: it runs to the length limit.

Peak memory is the command's largest resident set as the kernel reports it, which counts mapped
pages of the model's file that are touched, even those that it could drop. Seconds of a step are
those between the log lines of the last two updates. A command that DIR/full-size.json already has
is not run again, so a chain that was stopped goes on; `--only` picks some.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import shlex
import shutil
import sys
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.contenders import Contender  # noqa: E402
from benchmarks.measure import Failed, Run, run  # noqa: E402
from benchmarks.random_mbart import add_shape  # noqa: E402

TEXTS = ROOT / "examples" / "ddtp" / "data"
LANGS = ("en_XX", "fr_XX", "zh_CN")
PYTHON = sys.executable
LAFT = (PYTHON, "-m", "laft_fairseq.cli")
TRAIN = (PYTHON, "-m", "fairseq_cli.train")
COLUMNS = ("command", "seconds", "seconds a step", "peak GiB", "written MB")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_shape(parser)
    parser.add_argument("--work", type=Path, required=True, help="folder for everything written")
    parser.add_argument("--lines", type=int, default=300, help="of text, and pairs")
    parser.add_argument("--generate", type=int, default=4, help="lines to generate from")
    parser.add_argument("--updates", type=int, default=2, help="of each training")
    parser.add_argument("--max-tokens", type=int, default=512, help="a batch")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--limit", type=float, default=22.0, help="GiB; more is reported as such")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these commands, again if done")
    return parser.parse_args()


def raw_text(work: Path, count: int) -> None:
    """Real lines of three languages and English pairs, from the shipped data."""
    (work / "raw").mkdir(parents=True, exist_ok=True)
    sources = {f"mono.{lang}": TEXTS / f"mono.{lang}.txt.xz" for lang in LANGS}
    sources["pairs.tsv"] = TEXTS / "en_XX.train.tsv.xz"
    for name, source in sources.items():
        with lzma.open(source, "rt", encoding="utf-8", newline="\n") as lines:
            (work / "raw" / name).write_text("".join(islice(lines, count)), encoding="utf-8")


def training(args: argparse.Namespace, name: str, task: str, *more: str) -> tuple[str, ...]:
    """fairseq-train at the model's shape."""
    shape = []
    for side in ("encoder", "decoder"):
        shape += [f"--{side}-layers", str(args.layers), f"--{side}-embed-dim", str(args.width),
                  f"--{side}-ffn-embed-dim", str(args.ffn),
                  f"--{side}-attention-heads", str(args.heads)]  # fmt: skip
    return (
        *TRAIN, str(args.work / "data-bin"), "--user-dir", str(ROOT / "laft_fairseq"),
        "--arch", "laft_mbart", *shape, "--task", f"laft_{task}",
        "--backbone", str(args.work / "backbone" / "model.pt"), "--criterion", "cross_entropy",
        "--optimizer", "adam", "--lr", "1e-5", "--max-tokens", str(args.max_tokens),
        "--max-update", str(args.updates), "--save-dir", str(args.work / name), "--cpu",
        "--no-epoch-checkpoints", "--disable-validation", "--num-workers", "0", "--seed", "1",
        "--no-progress-bar", "--log-interval", "1", *more,
    )  # fmt: skip


def chain(args: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    """The commands by name, in order."""
    work, all_langs = args.work, ",".join(LANGS)
    shape = [f"--{name}={getattr(args, name)}"
             for name in ("layers", "width", "ffn", "heads", "pieces", "kind")]  # fmt: skip
    model, data, laft = work / "backbone" / "model.pt", work / "data-bin", "--method=laft"
    components = work / "components.safetensors"
    binarize = str(ROOT / "preprocess" / "binarize.sh")
    put = ("--backbone", str(work / "backbone"), "--out", str(data))
    commands = {
        "random model": (PYTHON, "-m", "benchmarks.random_mbart", str(work / "hf"), *shape),
        "import-hf": (*LAFT, "import-hf", str(work / "hf"), str(work / "backbone")),
    }
    for lang in LANGS:
        commands[f"binarize {lang}"] = (binarize, "mono", *put, "--lang", lang, "--train",
                                        str(work / "raw" / f"mono.{lang}"))  # fmt: skip
    commands["binarize pairs"] = (binarize, "pairs", *put, "--lang", "en_XX", "--train",
                                  str(work / "raw" / "pairs.tsv"))  # fmt: skip
    commands["components"] = (*LAFT, "components", "--cpu", "--backbone", str(model), "--data",
                              str(data), "--langs", all_langs, "--num-components", "6",
                              "--max-tokens", "2048", "--out", str(components))  # fmt: skip
    file = ("--language-components", str(components))
    commands["laft, stage 1"] = training(
        args, "stage1", "denoising", laft, *file, "--train-langs", all_langs
    )
    commands["laft, stage 2"] = training(
        args, "stage2", "generation", laft, *file, "--train-langs", "en_XX",
        "--finetune-from-model", str(work / "stage1" / "checkpoint_last.pt"),
    )  # fmt: skip
    commands["mbart_full, stage 2"] = training(
        args, "full", "generation", "--method=mbart_full", "--train-langs", "en_XX"
    )
    checkpoint = ("--checkpoint", str(work / "stage2" / "checkpoint_last.pt"))
    sentencepiece = str(work / "backbone" / "sentence.bpe.model")
    generate = shlex.join((*LAFT, "generate", *checkpoint, "--lang", "fr_XX", "--beam", "5",
                           "--max-len-b", "64", "--data", str(data), "--device", "cpu",
                           "--sentencepiece-model", sentencepiece))  # fmt: skip
    source, out = (shlex.quote(str(work / name)) for name in ("raw/mono.fr_XX", "generated"))
    commands["generate"] = (
        "bash", "-c", f"head -n {args.generate} {source} | {generate} > {out}"
    )  # fmt: skip
    commands["export"] = (*LAFT, "export", *checkpoint, "--out", str(work / "whole.pt"))
    return commands


RESULTS = {"random model": "hf", "import-hf": "backbone", "components": "components.safetensors",
           "laft, stage 1": "stage1", "laft, stage 2": "stage2", "mbart_full, stage 2": "full",
           "generate": "generated", "export": "whole.pt"}  # fmt: skip


def written(args: argparse.Namespace, name: str) -> float:
    """Megabytes of what the command wrote."""
    path = args.work / RESULTS.get(name, "data-bin")
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def table(args: argparse.Namespace, rows: dict[str, dict[str, float]]) -> str:
    """Markdown."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---|" + "---:|" * (len(COLUMNS) - 1)]
    for name, row in rows.items():
        step = f"{row['step']:.1f}" if "step" in row else ""
        over = "" if row["peak"] <= args.limit else f" (over {args.limit:g})"
        lines.append(f"| {name} | {row['seconds']:.0f} | {step} | {row['peak']:.2f}{over} | "
                     f"{row['written']:.1f} |")  # fmt: skip
    return "\n".join(lines)


def row(args: argparse.Namespace, name: str, found: Run) -> dict[str, float]:
    """The numbers of one command."""
    numbers = {"seconds": found.whole, "peak": found.peak_mb / 1024, "written": written(args, name)}
    return numbers | ({"step": found.seconds[-1]} if found.seconds else {})


def main() -> int:
    """Run what is not done yet; print the table after each."""
    args = parse()
    args.work = args.work.absolute()
    raw_text(args.work, args.lines)
    os.environ["PYTHON"] = PYTHON
    os.environ["PATH"] = f"{Path(PYTHON).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ["PYTHONPATH"] = str(ROOT)
    results = args.work / "full-size.json"
    rows = json.loads(results.read_text()) if results.is_file() else {}
    for name, command in chain(args).items():
        if name not in args.only if args.only else name in rows:
            continue
        print(f"{name}: {shlex.join(command)}", flush=True)
        if name in ("laft, stage 1", "laft, stage 2", "mbart_full, stage 2"):
            shutil.rmtree(args.work / RESULTS[name], ignore_errors=True)  # or it would resume
        log = args.work / "logs" / f"{name.replace(' ', '-').replace(',', '')}.log"
        try:
            rows[name] = row(args, name, run(Contender(name, command), args.threads, log))
        except Failed as error:
            raise SystemExit(f"{name}: failed, see {log}\n{error}") from None
        results.write_text(json.dumps(rows, indent=2) + "\n")
        print(table(args, rows), flush=True)
    lines = (args.work / "generated").read_text(encoding="utf-8").splitlines()
    if len(lines) != args.generate:
        raise SystemExit(f"{len(lines)} lines were generated from {args.generate}")
    return int(any(entry["peak"] > args.limit for entry in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
