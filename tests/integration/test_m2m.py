"""The shipped small backbone in M2M-100's layout, through every command and system."""

import lzma
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq.modules import SinusoidalPositionalEmbedding

from laft_fairseq import (
    hub,
    register,  # noqa: F401  registers the criterion in this process
)
from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.cli.main import main
from laft_fairseq.hub.loading import load_model
from laft_fairseq.hub.raw_text import SubwordTokenizer
from laft_fairseq.languages.dictionary import dictionary_tags, load_dictionary
from laft_fairseq.languages.language_ids import symbol
from tests import hf_folder, tiny
from tests.integration.conftest import SAVING

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.integration

MINI = hf_folder.REPOSITORY / "examples" / "mini" / "model"
DATA = hf_folder.REPOSITORY / "examples" / "ddtp" / "data"
TAGS = {"en_XX": "en_XX", "fr_XX": "fr_XX", "zh_CN": "zh_XX"}  # mBART's, M2M-100's here
TEXTS = 8  # a language


def write_m2m(folder: Path) -> Path:
    """Write the shipped backbone as M2M-100: its layers and embedding, none of its positions."""
    tokenizer = hf_folder.write_tokenizer(folder, "m2m", missing=())
    entries, state = tokenizer.get_vocab(), backbones.read(str(MINI / "model.pt")).state
    rows = len(entries) + 100 + 8
    model = transformers.M2M100ForConditionalGeneration(
        transformers.M2M100Config(
            vocab_size=rows, d_model=256, max_position_embeddings=256,
            **{f"{side}_{key}": value for side in ("encoder", "decoder")
               for key, value in {"layers": 4, "attention_heads": 4, "ffn_dim": 1024}.items()},
        )
    ).eval()  # fmt: skip
    names = model.state_dict().keys()
    model.load_state_dict(
        {f"model.{name}": tensor for name, tensor in state.items() if f"model.{name}" in names}
        | dict.fromkeys(
            ("model.shared.weight", *(f"model.{side}.embed_tokens.weight" for side in
             ("encoder", "decoder")), "lm_head.weight"), embedding(tokenizer, state, rows)
        )
    )  # fmt: skip
    model.save_pretrained(folder)
    return folder


def embedding(tokenizer: Any, state: dict[str, torch.Tensor], rows: int) -> torch.Tensor:
    """(rows, d): of each subword, and of each language that the backbone knows; else their mean."""
    dictionary = load_dictionary(MINI, dictionary_tags(MINI))
    table = state[backbones.EMBEDDING]
    made = table.mean(0).repeat(rows, 1)
    for name, row in tokenizer.get_vocab().items():
        made[row] = table[dictionary.index(name)]
    for tag in dictionary_tags(MINI):
        made[tokenizer.get_lang_id(tag[:2])] = table[dictionary.index(symbol(tag))]
    return made


@dataclass(frozen=True)
class Run:
    """Where everything lies."""

    backbone: Path
    data: Path
    components: Path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Imported, trimmed to a few texts, these binarised, components estimated."""
    home = tmp_path_factory.mktemp("m2m")
    texts = {}
    for name in TAGS:
        with lzma.open(DATA / f"{name}.valid.tsv.xz" if name != "en_XX" else
                       DATA / "en_XX.train.tsv.xz", "rt", encoding="utf-8") as lines:  # fmt: skip
            texts[name] = [next(lines).rstrip("\n").split("\t")[2:4] for _ in range(TEXTS)]
    raw = home / "raw"
    raw.write_text("".join(f"{text}\n" for pairs in texts.values() for pair in pairs
                           for text in pair), encoding="utf-8")  # fmt: skip
    small, data = home / "small", home / "data-bin"
    assert not main(["import-hf", str(write_m2m(home / "hf")), str(home / "whole")])
    assert not main(["trim", "--backbone", str(home / "whole" / "model.pt"), "--text", str(raw),
                     "--keep-langs", ",".join(TAGS.values()), "--out", str(small)])  # fmt: skip
    data.mkdir()
    for file in small.iterdir():
        if file.suffix != ".pt":
            (data / file.name).write_bytes(file.read_bytes())
    subwords = SubwordTokenizer(
        data / "sentence.bpe.model", load_dictionary(data, dictionary_tags(data))
    )
    for name, tag in TAGS.items():
        source, target = zip(*texts[name], strict=True)
        for end, side in (("", source), (".src-tgt.src", source), (".src-tgt.tgt", target)):
            tokens = [subwords.encode(text).tolist() for text in side]
            tiny.write_texts(data / tag / f"train{end}", tokens)
    assert not main(["components", "--backbone", str(small / "model.pt"), "--data", str(data),
                     "--langs", ",".join(TAGS.values()), "--num-components", "3", "--cpu",
                     "--out", str(home / "components.safetensors")])  # fmt: skip
    return Run(small, data, home / "components.safetensors")


def train(run: Run, folder: Path, stage: str, method: str, *flags: Any) -> dict[str, Any]:
    """One update; the shape comes from the backbone."""
    system = ("--arch", "laft_m2m", "--method", method, "--backbone", run.backbone / "model.pt")
    limits = ("--max-source-positions", 48, "--max-target-positions", 48)
    return tiny.train(run.data, folder, stage, *system, *limits, "--max-update", "1", "--lr",
                      "1e-3", *SAVING, *flags)  # fmt: skip


@pytest.mark.parametrize("method", ["laft", "mbart_full", "adapter", "tm_adv", "lora"])
def test_systems_in_both_stages(
    run: Run, method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = ("--language-components", run.components) if method == "laft" else ()
    train(run, tmp_path / "1", "denoising", method, *parts)
    second = ["--train-langs", "en_XX", "--finetune-from-model", tmp_path / "1/checkpoint_last.pt"]
    if method.startswith("tm_adv"):
        second += ["--criterion", "laft_adversarial", "--target-langs", "fr_XX,zh_XX"]
    content = train(run, tmp_path / "2", "generation", method, *second)
    assert content["cfg"]["model"].arch == "laft_m2m"
    checkpoint = tmp_path / "2" / "checkpoint_last.pt"
    model, _ = load_model(str(checkpoint), str(run.data))
    for side in (model.encoder, model.decoder):
        assert isinstance(side.embed_positions, SinusoidalPositionalEmbedding)
        assert side.layernorm_embedding is None and side.layers[3].fc1.out_features == 1024
    assert model.architecture_options["activation_fn"] == "relu"
    text = ["Ksnip est un éditeur de texte."]
    written = hub.load(str(checkpoint)).generate(text, "fr_XX", beam=2, max_len_b=8)
    assert written[0]
    if method in ("laft", "mbart_full"):
        assert not main(["export", "--checkpoint", str(checkpoint), "--out", str(tmp_path / "out")])
        whole = hub.load(str(tmp_path / "out"))
        assert whole.generate(text, "fr_XX", beam=2, max_len_b=8) == written
