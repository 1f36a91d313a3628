"""Random data and weights of a shape: time and memory do not depend on their values."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder

from benchmarks.shapes import BATCHES, MONO, SHAPES, Shape

LANGS = ("en_XX", "fr_XX", "zh_CN")
ROOT = Path(__file__).resolve().parent.parent
GAIN = 1.4  # of random matrices
FIRST = 4  # ids below are <s>, <pad>, </s>, <unk>


def prepare(folder: Path, shape_name: str, batch: int) -> None:
    """Make what all systems read, once for each size of batch."""
    ready, shape, items = folder / f"ready-3-{batch}", SHAPES[shape_name], BATCHES * batch
    if ready.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    _write_data(folder / "data-bin", shape, items, batch)
    _write_fairseq_data(folder / "stock", shape, items, (shape.source, shape.target))
    _write_fairseq_data(folder / "stock-stage1", shape, items, (MONO, MONO))
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
    prefix: Path, rng: np.random.Generator, high: int, length: int, count: int
) -> None:
    """Write `count` sentences of exactly `length` tokens, ``</s>`` included."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    builder = MMapIndexedDatasetBuilder(f"{prefix}.bin", dtype=np.int32)
    for _ in range(count):
        builder.add_item(torch.tensor([*rng.integers(FIRST, high, size=length - 1).tolist(), 2]))
    builder.finalize(f"{prefix}.idx")


def _write_data(folder: Path, shape: Shape, items: int, valid: int) -> None:
    """Write our data-bin: pairs and monolingual sentences; each gets a tag when it is read."""
    rng = np.random.default_rng(1)
    folder.mkdir(parents=True, exist_ok=True)
    subword_dictionary(shape).save(str(folder / "dict.txt"))
    (folder / "langs.txt").write_text("".join(f"{tag}\n" for tag in LANGS))
    for tag in LANGS[:2]:
        for split, count in (("train", items), ("valid", valid)):
            pairs = f"{split}.src-tgt"
            lengths = {f"{pairs}.src": shape.source, f"{pairs}.tgt": shape.target, split: MONO}
            for name, length in lengths.items():
                _write_sentences(folder / tag / name, rng, shape.subwords, length - 1, count)


def _write_fairseq_data(folder: Path, shape: Shape, items: int, lengths: tuple[int, int]) -> None:
    """Write the data of fairseq's translation task, with the tags in its dictionary."""
    rng = np.random.default_rng(1)
    folder.mkdir(parents=True, exist_ok=True)
    for side, length in zip(("src", "tgt"), lengths, strict=True):
        subword_dictionary(shape, with_tags=True).save(str(folder / f"dict.{side}.txt"))
        for split in ("train", "valid"):
            prefix = folder / f"{split}.src-tgt.{side}"
            _write_sentences(prefix, rng, shape.subwords, length, items)


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
