"""fairseq's own mbart.cc25.v2, in small: a checkpoint as fairseq wrote them in 2019."""

from argparse import Namespace
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq.logging import meters
from fairseq.models.bart import BARTModel
from fairseq.models.bart.model import mbart_base_architecture
from torch import Tensor

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.hub.loading import load_backbone_model
from tests import tiny

SHAPE = {"embed_dim": tiny.D, "layers": 2, "ffn_embed_dim": 64, "attention_heads": 4}


def options() -> Namespace:
    """The options that the archive's `args` holds, at another size."""
    args = Namespace(arch="mbart_large", task="multilingual_denoising", langs=",".join(tiny.TAGS),
                     add_lang_token=True, criterion="cross_entropy", layernorm_embedding=True,
                     max_source_positions=64, max_target_positions=64)  # fmt: skip
    for side in ("encoder", "decoder"):
        setattr(args, f"{side}_normalize_before", True)
        for name, value in SHAPE.items():
            setattr(args, f"{side}_{name}", value)
    mbart_base_architecture(args)
    return args


def stock() -> BARTModel:
    """fairseq's own model, none of our classes in it."""
    args, dictionary = options(), tiny.dictionary()
    task = Namespace(source_dictionary=dictionary, target_dictionary=dictionary)
    built = BARTModel.build_model(args, task).eval()
    tiny.scramble(built, std=0.3)
    return built


def packed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As of 2019: the three projections of an attention in one tensor, no output projection."""
    old: dict[str, Tensor] = OrderedDict()
    for name, tensor in state.items():
        stem, _, kind = name.rpartition(".q_proj.")
        if stem:
            parts = [state[f"{stem}.{which}_proj.{kind}"] for which in "qkv"]
            old[f"{stem}.in_proj_{kind}"] = torch.cat(parts)
        elif ".k_proj." not in name and ".v_proj." not in name and "output_projection" not in name:
            old[name] = tensor
    return old | {"encoder.version": torch.tensor([3.0]), "decoder.version": torch.tensor([3.0])}


def write_archive(folder: Path) -> BARTModel:
    """model.pt and dict.txt; the counters of the training are in it as objects."""
    built = stock()
    counters = OrderedDict(
        loss=meters.AverageMeter(), wps=meters.TimeMeter(), wall=meters.StopwatchMeter()
    )
    content: dict[str, Any] = {
        "args": options(), "model": packed(built.state_dict()),
        "optimizer_history": [{"criterion_name": "CrossEntropyCriterion", "num_updates": 500000,
                               "optimizer_name": "FP16Optimizer", "lr_scheduler_state": {}}],
        "extra_state": {"train_iterator": {"epoch": 1}, "train_meters": counters},
        "last_optimizer_state": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []},
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        for meter in (meters.AverageMeter, meters.TimeMeter, meters.StopwatchMeter):
            patch.setattr(meter, "__module__", "fairseq.meters")
        torch.save(content, folder / "model.pt", _use_new_zipfile_serialization=False)
    tiny.pieces_dictionary().save(str(folder / "dict.txt"))
    return built


@pytest.fixture
def archive(tmp_path: Path) -> tuple[Path, BARTModel]:
    """The folder and the model in it."""
    return tmp_path, write_archive(tmp_path)


@torch.no_grad()
def test_the_archive_works_as_it_is(archive: tuple[Path, BARTModel]) -> None:
    folder, theirs = archive
    assert b"fairseq.meters" in (folder / "model.pt").read_bytes()
    backbone = backbones.read(str(folder / "model.pt"))
    assert backbone.langs == list(tiny.TAGS)
    assert backbone.options == {"encoder_attention_heads": 4, "decoder_attention_heads": 4,
                             "activation_fn": "gelu", "no_scale_embedding": False}  # fmt: skip
    assert backbone.fingerprint == backbones.fingerprint(theirs.state_dict())
    ours, tags = load_backbone_model(str(folder / "model.pt"), str(folder), ",".join(tiny.TAGS))
    assert tags == list(tiny.TAGS)
    source = tiny.rows(["\u2581w1 c1 <mask> \u2581w2 </s> [en_XX]", "一 </s> [zh_CN]"])
    previous = tiny.rows(["[en_XX] \u2581w1 c1", "[zh_CN] 一 二"])
    expected = theirs(source, None, previous)[0]
    torch.testing.assert_close(ours(source, None, previous)[0], expected, rtol=0, atol=1e-5)
    assert expected.abs().mean() > 0.3
