"""Random data and weights of a shape: time and memory do not depend on their values."""

from __future__ import annotations

import argparse
import lzma
import subprocess
import sys
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder

from benchmarks.shapes import BATCHES, LENGTHS, LONGEST, MONO, Shape

if TYPE_CHECKING:
    from benchmarks.comparisons import Setting

LANGS = ("en_XX", "fr_XX", "zh_CN")
ROOT = Path(__file__).resolve().parent.parent
GAIN = 1.4  # of random matrices
FIRST = 4  # ids below are <s>, <pad>, </s>, <unk>
EXAMPLES = ROOT / "examples"

Lengths = dict[str, list[int]]  # of "source", "target" and "mono", in tokens with the tag


def prepare(setting: Setting) -> None:
    """Make what all systems read, once for each size of batch and number of updates."""
    folder, shape = setting.work.absolute() / setting.name, setting.shape
    items = max(BATCHES, setting.updates if setting.real_lengths else 0) * setting.batch
    ready = folder / f"ready-4-{items}"
    if ready.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    lengths = real_lengths(items) if setting.real_lengths else fixed_lengths(shape, items)
    _write_data(folder / "data-bin", shape, lengths, setting.batch)
    _write_fairseq_data(folder / "stock", shape, lengths["source"], lengths["target"])
    _write_fairseq_data(folder / "stock-stage1", shape, lengths["mono"], lengths["mono"])
    # Weights are drawn in a process of their own, so that their memory is given back.
    draw = [sys.executable, "-m", "benchmarks.data", str(folder), shape.arch]
    subprocess.run(draw, check=True, cwd=ROOT)
    components = [
        sys.executable, "-m", "laft_fairseq.cli", "components",
        "--backbone", folder / "model.pt", "--data", folder / "data-bin", "--langs", "en_XX,fr_XX",
        "--num-components", "6", "--max-sentences", "16", "--out", folder / "c.safetensors",
    ]  # fmt: skip
    subprocess.run([str(word) for word in components], check=True, cwd=ROOT)
    ready.touch()


def fixed_lengths(shape: Shape, items: int) -> Lengths:
    """Returns the shape's lengths."""
    return {"source": [shape.source] * items, "target": [shape.target] * items,
            "mono": [MONO] * items}  # fmt: skip


def real_lengths(items: int) -> Lengths:
    """Returns the lengths of the shipped English pairs and sentences, from the start if too few."""
    from sentencepiece import SentencePieceProcessor

    subwords = SentencePieceProcessor(str(EXAMPLES / "mini" / "model" / "sentence.bpe.model"))
    lengths: Lengths = {"source": [], "target": [], "mono": []}
    for name, columns in (
        ("en_XX.train.tsv.xz", {"source": 2, "target": 3}), ("mono.en_XX.txt.xz", {"mono": 0})
    ):  # fmt: skip
        with lzma.open(EXAMPLES / "ddtp" / "data" / name, "rt", encoding="utf-8") as lines:
            rows = [line.rstrip("\n").split("\t") for line in islice(lines, items)]
        for column, number in columns.items():
            counts = [len(ids) + 2 for ids in subwords.encode([row[number] for row in rows])]
            lengths[column] = [min(count, LONGEST) for count in islice(cycle(counts), items)]
    return lengths


def subword_dictionary(shape: Shape, with_tags: bool = False) -> Dictionary:
    """Returns the dictionary of dict.txt, with tags and <mask> at its end if asked for."""
    dictionary = Dictionary()
    for index in range(shape.subwords - FIRST):
        # every fourth subword begins a word, as about as many do in running text
        dictionary.add_symbol(f"\u2581{index}" if index % 4 == 0 else str(index))
    if with_tags:
        for symbol in (*(f"[{tag}]" for tag in LANGS), "<mask>"):
            dictionary.add_symbol(symbol)
    return dictionary


def _write_sentences(
    prefix: Path, rng: np.random.Generator, high: int, lengths: Sequence[int]
) -> None:
    """Write sentences of these numbers of tokens, ``</s>`` included."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    builder = MMapIndexedDatasetBuilder(f"{prefix}.bin", dtype=np.int32)
    for length in lengths:
        builder.add_item(torch.tensor([*rng.integers(FIRST, high, size=length - 1).tolist(), 2]))
    builder.finalize(f"{prefix}.idx")


def _write_data(folder: Path, shape: Shape, lengths: Lengths, valid: int) -> None:
    """Write our data-bin: pairs and monolingual sentences; each gets a tag when it is read."""
    rng = np.random.default_rng(1)
    folder.mkdir(parents=True, exist_ok=True)
    subword_dictionary(shape).save(str(folder / "dict.txt"))
    (folder / "langs.txt").write_text("".join(f"{tag}\n" for tag in LANGS))
    for tag in LANGS[:2]:
        for split, count in (("train", None), ("valid", valid)):
            pairs = f"{split}.src-tgt"
            names = {f"{pairs}.src": "source", f"{pairs}.tgt": "target", split: "mono"}
            for name, kind in names.items():
                without_tag = [length - 1 for length in lengths[kind][:count]]
                _write_sentences(folder / tag / name, rng, shape.subwords, without_tag)


def _write_fairseq_data(
    folder: Path, shape: Shape, sources: Sequence[int], targets: Sequence[int]
) -> None:
    """Write the data of fairseq's translation task, with the tags in its dictionary.

    Of transformers' steps too, which read the lengths alone.
    """
    rng = np.random.default_rng(1)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / LENGTHS, np.array([sources, targets]))
    for side, lengths in (("src", sources), ("tgt", targets)):
        subword_dictionary(shape, with_tags=True).save(str(folder / f"dict.{side}.txt"))
        for split in ("train", "valid"):
            prefix = folder / f"{split}.src-tgt.{side}"
            _write_sentences(prefix, rng, shape.subwords, lengths)


def _draw_weights(folder: Path, arch: str) -> None:
    """Write a backbone with random weights, as `laft export --as-backbone` would.

    Matrices have a gain of about one, not BERT's 0.02: with that a decoder over tied embeddings
    writes its first token again and again, and equal hypotheses would say little.
    """
    from fairseq.models import ARCH_CONFIG_REGISTRY

    import laft_fairseq
    from laft_fairseq.languages.dictionary import load_dictionary
    from laft_fairseq.models.laft_mbart import LAFTMBart
    from laft_fairseq.tasks.laft_generation import LaftGeneration, LaftGenerationOptions

    assert laft_fairseq
    args = argparse.Namespace(
        task="laft_generation", method="mbart_full", max_source_positions=1024,
        max_target_positions=1024,
    )  # fmt: skip
    ARCH_CONFIG_REGISTRY[arch](args)
    dictionary = load_dictionary(folder / "data-bin", LANGS)
    task = LaftGeneration(LaftGenerationOptions(data=""), dictionary, list(LANGS))
    torch.manual_seed(1)
    model = LAFTMBart.build_model(args, task)
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and module is not model.decoder.output_projection:
            torch.nn.init.normal_(module.weight, std=GAIN * module.in_features**-0.5)
    torch.save({"model": torch.nn.Module.state_dict(model)}, folder / "model.pt")


if __name__ == "__main__":
    _draw_weights(Path(sys.argv[1]), sys.argv[2])
