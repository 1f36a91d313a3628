"""The shipped small backbone turned to mBART-50's tag layout: pretraining, both stages, text."""

import lzma
import shutil
from argparse import Namespace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from laft_fairseq import hub
from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints.header import pop_header
from laft_fairseq.cli.main import main
from laft_fairseq.hub.raw_text import Pieces
from laft_fairseq.languages.dictionary import load_dictionary
from laft_fairseq.languages.vocabulary_files import LAYOUT_FILE
from tests import tiny
from tests.integration.conftest import SAVING
from tests.integration.test_generate import outputs

TAGS = ("en_XX", "fr_XX", "zh_CN")
EACH, TESTED = 24, 3  # texts a language, and those of them that are generated from
POSITIONS = ("--max-source-positions", "1024", "--max-target-positions", "1024")
MINI = ("--arch", "laft_mbart_mini", *POSITIONS, "--lr", "0.001", "--max-update", "2", *SAVING)
SEARCH: dict[str, Any] = {"beam": 2, "lenpen": 1.5, "max_len_b": 8}


def sentences(repository: Path, tag: str) -> list[str]:
    path = repository / "examples" / "ddtp" / "data" / f"mono.{tag}.txt.xz"
    with lzma.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        return [line.rstrip("\n")[:120] for line in islice(lines, EACH)]


@pytest.fixture(scope="module")
def converted(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone folder and a data-bin in it; model.pt has read two batches in the new layout."""
    home, shipped = tmp_path_factory.mktemp("mini50"), repository / "examples" / "mini" / "model"
    data = home / "data-bin"
    data.mkdir()
    for name in ("dict.txt", "langs.txt", "sentence.bpe.model"):
        for folder in (home, data):
            shutil.copyfile(shipped / name, folder / name)
    for folder in (home, data):
        (folder / LAYOUT_FILE).write_text("prefix\n")
    dictionary = load_dictionary(home, (home / "langs.txt").read_text().split())
    pieces = Pieces(home / "sentence.bpe.model", dictionary)
    for tag in TAGS:
        texts = [pieces.encode(line).tolist() for line in sentences(repository, tag)]
        tiny.write_texts(data / tag / "train", texts)
        tiny.write_texts(data / tag / "test.src-tgt.src", texts[:TESTED])
        tiny.write_texts(data / tag / "test.src-tgt.tgt", [[*t[:3], 2] for t in texts[:TESTED]])
        if tag == "en_XX":
            tiny.write_texts(data / tag / "train.src-tgt.src", texts)
            tiny.write_texts(data / tag / "train.src-tgt.tgt", [[*t[:3], 2] for t in texts])
    state = dict(backbones.read(str(shipped / "model.pt")).state)  # without its header
    heads = Namespace(encoder_attention_heads=4, decoder_attention_heads=4)
    torch.save({"args": heads, "model": state}, home / "draft.pt")
    tiny.train(data, home / "pretrained", "denoising", "--method", "mbart_full", "--backbone",
               home / "draft.pt", "--train-langs", ",".join(TAGS), *MINI)  # fmt: skip
    last = home / "pretrained" / "checkpoint_last.pt"
    assert main(["export", "--checkpoint", str(last), "--as-backbone", "--out",
                 str(home / "model.pt")]) == 0  # fmt: skip
    return home


@pytest.fixture(scope="module")
def stage2(converted: Path) -> Path:
    """The checkpoint after both stages of LAFT."""
    home, langs = converted, ",".join(TAGS)
    assert main(["components", "--backbone", str(home / "model.pt"), "--data",
                 str(home / "data-bin"), "--langs", langs, "--num-components", "6", "--cpu",
                 "--out", str(home / "c.safetensors")]) == 0  # fmt: skip
    laft = ("--method", "laft", "--backbone", home / "model.pt", *MINI)
    tiny.train(home / "data-bin", home / "stage1", "denoising", *laft, "--train-langs", langs,
               "--language-components", home / "c.safetensors")  # fmt: skip
    tiny.train(home / "data-bin", home / "stage2", "generation", *laft, "--train-langs", "en_XX",
               "--finetune-from-model", home / "stage1" / "checkpoint_last.pt")  # fmt: skip
    return home / "stage2" / "checkpoint_last.pt"


def test_every_file_is_of_the_new_layout(
    converted: Path, stage2: Path, repository: Path, tmp_path: Path
) -> None:
    """And the shipped model is refused for such data: its header says the other layout."""
    found = backbones.read(str(converted / "model.pt"))
    header, _ = pop_header(torch.load(stage2, weights_only=True)["model"])
    assert header is not None
    assert (header.kind, header.tag_layout) == ("slim", found.layout) == ("slim", "prefix")
    assert header.fingerprint == found.fingerprint
    shipped = repository / "examples" / "mini" / "model" / "model.pt"
    with pytest.raises(BaseException) as error:
        tiny.train(converted / "data-bin", tmp_path, "denoising", "--method", "mbart_full",
                   "--backbone", shipped, *MINI)  # fmt: skip
    assert "its tag layout is suffix" in tiny.one_line(error.value)


@pytest.mark.parametrize("tag", ["fr_XX", "zh_CN"])
def test_raw_text_gives_what_binarised_text_gives(
    converted: Path, stage2: Path, repository: Path, tag: str
) -> None:
    flags = ("--task", "laft_generation", "--gen-lang", tag, "--beam", "2", "--lenpen", "1.5",
             "--max-len-b", "8", "--bpe", "sentencepiece", "--sentencepiece-model",
             converted / "sentence.bpe.model")  # fmt: skip
    expected = outputs(tiny.generate(converted / "data-bin", stage2, *flags), "D")
    texts = sentences(repository, tag)[:TESTED]
    found = hub.load(str(stage2), device="cpu").generate(texts, tag, **SEARCH)
    assert found == [expected[number] for number in range(TESTED)]
    assert all(found)
