"""Random data and weights of a shape: what is timed does not depend on what they say."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder

from benchmarks.shapes import Shape

LANGS = ("en_XX", "fr_XX", "zh_CN")
ROOT = Path(__file__).resolve().parent.parent
READY = "ready-2"  # beside what is made; the number is that of its layout
MONO = 128  # tokens of a monolingual text, tag included
GAIN = 1.4  # of random matrices
FIRST = 4  # ids below are <s>, <pad>, </s>, <unk>


def prepare(folder: Path, shape: Shape, items: int) -> None:
    """Everything that contenders read, made once: data-bin/, stock/, model.pt, components."""
    if (folder / READY).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    _write_data(folder / "data-bin", shape, items)
    _write_stock(folder / "stock", shape, items, (shape.source, shape.target))
    _write_stock(folder / "stock-stage1", shape, items, (MONO, MONO))
    # Weights are drawn in a process of their own, so that their memory is given back.
    draw = [sys.executable, "-m", "benchmarks.data", str(folder), shape.arch]
    subprocess.run(draw, check=True, cwd=ROOT)
    components = [
        sys.executable, "-m", "laft_fairseq.cli", "components",
        "--backbone", folder / "model.pt", "--data", folder / "data-bin", "--langs", "en_XX,fr_XX",
        "--num-components", "6", "--max-sentences", "16", "--out", folder / "c.safetensors",
    ]  # fmt: skip
    subprocess.run([str(word) for word in components], check=True, cwd=ROOT)
    (folder / READY).touch()


def pieces(shape: Shape) -> Dictionary:
    """The dictionary of dict.txt, without tags."""
    dictionary = Dictionary()
    for index in range(shape.pieces - FIRST):
        # every fourth piece begins a word, as about as many do in running text
        dictionary.add_symbol(f"\u2581{index}" if index % 4 == 0 else str(index))
    return dictionary


def _write_texts(prefix: Path, rng: np.random.Generator, high: int, length: int, n: int) -> None:
    """`n` texts of exactly `length` tokens, ``</s>`` included."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    builder = MMapIndexedDatasetBuilder(f"{prefix}.bin", dtype=np.int32)
    for _ in range(n):
        text = rng.integers(FIRST, high, size=length - 1).tolist()
        builder.add_item(torch.tensor([*text, 2]))
    builder.finalize(f"{prefix}.idx")


def _write_data(folder: Path, shape: Shape, items: int) -> None:
    """Pairs of English and monolingual text; a tag makes each text one token longer."""
    rng = np.random.default_rng(1)
    folder.mkdir(parents=True, exist_ok=True)
    pieces(shape).save(str(folder / "dict.txt"))
    (folder / "langs.txt").write_text("".join(f"{tag}\n" for tag in LANGS))
    for tag in LANGS[:2]:
        for split, count in (("train", items), ("valid", shape.batch)):
            pairs = folder / tag / f"{split}.src-tgt."
            _write_texts(Path(f"{pairs}src"), rng, shape.pieces, shape.source - 1, count)
            _write_texts(Path(f"{pairs}tgt"), rng, shape.pieces, shape.target - 1, count)
            _write_texts(folder / tag / split, rng, shape.pieces, MONO - 1, count)


def write_more(folder: Path, shape: Shape, count: int, length: int) -> None:
    """A data-bin of ``count`` English texts of ``length`` tokens, the tag included."""
    if (folder / "langs.txt").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    pieces(shape).save(str(folder / "dict.txt"))
    _write_texts(folder / LANGS[0] / "train", rng, shape.pieces, length - 1, count)
    (folder / "langs.txt").write_text("".join(f"{tag}\n" for tag in LANGS))


def _write_stock(folder: Path, shape: Shape, items: int, lengths: tuple[int, int]) -> None:
    """The same for fairseq's own translation task, with the tags' entries in the dictionary."""
    rng = np.random.default_rng(1)
    dictionary = pieces(shape)
    for entry in (*(f"[{tag}]" for tag in LANGS), "<mask>"):
        dictionary.add_symbol(entry)
    folder.mkdir(parents=True, exist_ok=True)
    for lang, length in zip(("src", "tgt"), lengths, strict=True):
        dictionary.save(str(folder / f"dict.{lang}.txt"))
        for split in ("train", "valid"):
            _write_texts(folder / f"{split}.src-tgt.{lang}", rng, shape.pieces, length, items)


def _draw_weights(folder: Path, arch: str) -> None:
    """A backbone with random weights, as `laft export --as-backbone` would lay it out.

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
