#!/usr/bin/env python
"""The whole chain of commands on a model of full size: peak memory and time of each.

    python benchmarks/full_size.py --work DIR                   # mBART-large
    python benchmarks/full_size.py --work DIR --model nllb      # NLLB-200-distilled-600M
    python benchmarks/full_size.py --work DIR --small           # a rehearsal, in minutes

A Hugging Face directory with random weights is made and imported, a few hundred sentences are
binarised; components, two updates of each stage and of full finetuning, generation and export
follow, each a command as a user types it. Random weights change neither memory nor time; what is
generated means nothing and runs to the length limit.

Peak memory is the command's largest resident set as the kernel reports it, which counts mapped
pages of the model's file that are touched. Seconds an update are those between the log lines of
the last two updates. Commands that DIR/full-size.json already has are not run again.
"""

from __future__ import annotations

import argparse
import json
import lzma
import shlex
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tabulate import tabulate  # noqa: E402

from benchmarks.measure import CORES, Failed, System, run  # noqa: E402
from benchmarks.shapes import SHAPES, Shape  # noqa: E402

EXAMPLES = ROOT / "examples"
LANGS = ("en_XX", "fr_XX", "zh_CN")
NLLB_LANGS = ("eng_Latn", "fra_Latn", "zho_Hans")
SENTENCES, GENERATED = 300, 4
MODELS = {  # the shape, the rows after the subwords
    "mbart": (replace(SHAPES["large"], subwords=250_000), 26),
    "nllb": (replace(SHAPES["large"], subwords=256_000, arch="laft_m2m"), 205),
}
SMALL = {"layers": 2, "d": 64, "ffn": 128, "heads": 2, "subwords": 12_500}


def write_random_model(out: Path, shape: Shape, more_rows: int) -> None:
    """Write a model with random weights as transformers keeps it.

    Its sentencepiece model is not part of this repository; the shipped one is filled up to its
    size with subwords of the type UNUSED, which occur in no text.
    """
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    model = shape.hugging_face(shape.subwords + 1 + more_rows)
    model.save_pretrained(out, max_shard_size="500MB")
    subwords = ModelProto()
    subwords.ParseFromString((EXAMPLES / "mini" / "model" / "sentence.bpe.model").read_bytes())
    for number in range(len(subwords.pieces), shape.subwords):
        subwords.pieces.add(piece=f"<unused{number}>", score=-100.0, type="UNUSED")
    sentencepiece = out / "sentencepiece.bpe.model"
    sentencepiece.write_bytes(subwords.SerializeToString())
    if shape.arch == "laft_m2m":
        from transformers import NllbTokenizer

        NllbTokenizer(str(sentencepiece)).save_pretrained(out)


def write_sentences(folder: Path, langs: tuple[str, ...]) -> None:
    """Write sentences of three languages and English pairs, from the shipped data."""
    folder.mkdir(parents=True, exist_ok=True)
    shipped = EXAMPLES / "ddtp" / "data"
    sources = {f"mono.{lang}": shipped / f"mono.{name}.txt.xz"
               for lang, name in zip(langs, LANGS, strict=True)}  # fmt: skip
    sources["pairs.tsv"] = shipped / "en_XX.train.tsv.xz"
    for name, source in sources.items():
        with lzma.open(source, "rt", encoding="utf-8", newline="\n") as lines:
            (folder / name).write_text("".join(islice(lines, SENTENCES)), encoding="utf-8")


def chain(work: Path, shape: Shape, langs: tuple[str, ...]) -> dict[str, tuple[Path, str]]:
    """Returns, in order, what each command writes and the command, to be run in the work folder."""
    binarize = f"{ROOT}/preprocess/binarize.sh"
    options = "--backbone backbone --out data-bin"
    train = (
        f"fairseq-train data-bin --user-dir {ROOT}/laft_fairseq --arch {shape.arch} "
        f"{shape.flags} --backbone backbone/model.pt --criterion cross_entropy "
        "--optimizer adam --lr 1e-5 --max-tokens 512 --max-update 2 --cpu --no-epoch-checkpoints "
        "--disable-validation --num-workers 0 --seed 1 --no-progress-bar --log-interval 1"
    )
    laft = "--method laft --language-components components.safetensors"
    checkpoint = "--checkpoint stage2/checkpoint_last.pt"
    commands = {
        "import-hf": ("backbone", "laft import-hf hf backbone"),
        **{f"binarize {lang}": ("data-bin", f"{binarize} mono {options} --lang {lang} "
                                f"--train raw/mono.{lang}") for lang in langs},
        "binarize pairs": ("data-bin", f"{binarize} pairs {options} --lang {langs[0]} "
                           "--train raw/pairs.tsv"),
        "components": ("components.safetensors",
                       "laft components --cpu --backbone backbone/model.pt --data data-bin "
                       f"--langs {','.join(langs)} --num-components 6 --max-tokens 2048 "
                       "--out components.safetensors"),
        "laft, stage 1": ("stage1", f"{train} --task laft_denoising {laft} --save-dir stage1 "
                          f"--train-langs {','.join(langs)}"),
        "laft, stage 2": ("stage2", f"{train} --task laft_generation {laft} --save-dir stage2 "
                          f"--train-langs {langs[0]} "
                          "--finetune-from-model stage1/checkpoint_last.pt"),
        "mbart_full, stage 2": ("full", f"{train} --task laft_generation --method mbart_full "
                                f"--save-dir full --train-langs {langs[0]}"),
        "generate": ("generated", f"head -n {GENERATED} raw/mono.{langs[1]} | laft generate "
                     f"{checkpoint} --lang {langs[1]} --beam 5 --max-len-b 64 --data data-bin "
                     "--device cpu --sentencepiece-model backbone/sentence.bpe.model > generated "
                     f"&& [ $(wc -l < generated) = {GENERATED} ]"),
        "export": ("whole.pt", f"laft export {checkpoint} --out whole.pt"),
    }  # fmt: skip
    return {name: (work / written, command) for name, (written, command) in commands.items()}


def megabytes(path: Path) -> float:
    """Returns the size of a file, or of all files below a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def main() -> None:
    """Run the commands that have no numbers yet; print the table after each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for everything written")
    parser.add_argument("--model", choices=MODELS, default="mbart", help="default: %(default)s")
    parser.add_argument("--small", action="store_true", help="a rehearsal on a small model")
    args = parser.parse_args()
    work, (shape, more_rows) = args.work.absolute(), MODELS[args.model]
    shape = replace(shape, **SMALL) if args.small else shape
    langs = NLLB_LANGS if args.model == "nllb" else LANGS
    write_sentences(work / "raw", langs)
    if not (work / "hf" / "sentencepiece.bpe.model").exists():
        with ProcessPoolExecutor(1) as pool:  # or the commands' peaks would begin at its own
            pool.submit(write_random_model, work / "hf", shape, more_rows).result()
    results = work / "full-size.json"
    rows = json.loads(results.read_text()) if results.is_file() else {}
    for name, (written, command) in chain(work, shape, langs).items():
        if name in rows:
            continue
        print(f"{name}: {command}", flush=True)
        log = work / "logs" / f"{name.replace(' ', '-').replace(',', '')}.log"
        if written.name in ("stage1", "stage2", "full"):
            shutil.rmtree(written, ignore_errors=True)  # or training would go on from there
        command = f"cd {shlex.quote(str(work))} && {command}"
        try:
            measured = run(System(name, command), CORES, log)
        except Failed as error:
            raise SystemExit(f"{name}: failed, see {log}\n{error}") from None
        rows[name] = {
            "command": name, "seconds": measured.whole,
            "seconds an update": measured.seconds[-1] if measured.seconds else None,
            "peak GiB": measured.peak_mb / 1024, "written MB": megabytes(written),
        }  # fmt: skip
        results.write_text(json.dumps(rows, indent=2) + "\n")
        print(tabulate(rows.values(), "keys", "pipe", floatfmt=",.2f"), flush=True)


if __name__ == "__main__":
    main()
