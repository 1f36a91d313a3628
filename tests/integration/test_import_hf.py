"""A Hugging Face directory, imported, is a backbone like any other: one update of stage 2."""

import shutil
from pathlib import Path

import pytest
import sentencepiece
import torch

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints.header import pop_header
from laft_fairseq.cli import main
from laft_fairseq.languages.vocabulary_files import LAYOUT_FILE
from tests import hf_folder, tiny

pytest.importorskip("transformers")
pytestmark = pytest.mark.integration

PAIRS = {
    "train": [("A library to read and write files.", "reads files"), ("A game of cards.", "cards")],
    "valid": [("A small server.", "server")],
}


def binarised(folder: Path, backbone: Path) -> Path:
    """English pairs in the imported model's own pieces."""
    processor = sentencepiece.SentencePieceProcessor(
        model_file=str(backbone / "sentence.bpe.model")
    )
    folder.mkdir()
    for name in ("dict.txt", "langs.txt", LAYOUT_FILE):
        shutil.copyfile(backbone / name, folder / name)
    for split, pairs in PAIRS.items():
        for side, texts in zip(("src", "tgt"), zip(*pairs, strict=True), strict=True):
            encoded = [[number + 1 for number in processor.encode(text)] + [2] for text in texts]
            tiny.write_texts(folder / "en_XX" / f"{split}.src-tgt.{side}", encoded)
    return folder


def test_imported_then_trained(tmp_path: Path) -> None:
    theirs = hf_folder.model(
        "mbart50", std=0.02, decoder_layers=2, decoder_ffn_dim=64, encoder_attention_heads=2
    )
    hf_folder.write(tmp_path / "hf", theirs)
    out = tmp_path / "backbone"
    assert main.main(["import-hf", str(tmp_path / "hf"), str(out)]) == 0
    data = binarised(tmp_path / "data-bin", out)
    content = tiny.train(
        data, tmp_path / "stage2", "generation", "--method", "mbart_enc", "--train-langs", "en_XX",
        "--valid-langs", "en_XX", "--backbone", out / "model.pt", "--max-update", "1",
        "--no-epoch-checkpoints",
    )  # fmt: skip
    header, _ = pop_header(content["model"])
    found = backbones.read(str(out / "model.pt"))
    assert header is not None
    assert (header.kind, header.fingerprint) == ("slim", found.fingerprint)
    assert header.tag_layout == "prefix"
    trained = content["model"]["encoder.layers.0.fc1.weight"]
    assert not torch.equal(trained, found.state["encoder.layers.0.fc1.weight"])
    assert torch.isfinite(trained).all()
