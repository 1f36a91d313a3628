"""Position tables follow what goes into the model."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.errors import LaftError
from laft_fairseq.models.architectures import laft_mbart_tiny
from laft_fairseq.models.laft_mbart import LAFTMBart
from tests import tiny


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 positions on both sides."""
    path = tmp_path_factory.mktemp("backbone") / "model.pt"
    torch.save({"model": tiny.model(method="mbart_full").state_dict()}, path)
    return path


def built(positions: int, **options: Any) -> LAFTMBart:
    both = {"max_source_positions": positions, "max_target_positions": positions}
    return tiny.model(method="mbart_enc", **both, **options)


@pytest.mark.parametrize("positions", [16, 64, 100])
def test_a_backbone_brings_its_own_size(backbone: Path, positions: int) -> None:
    model, stored = built(positions), backbones.read(str(backbone))
    model.load_backbone(stored)
    assert model.max_positions() == (64, 64)
    assert model.recorded.max_source_positions == model.recorded.max_target_positions == 64
    for side in ("encoder", "decoder"):
        held = getattr(model, side).embed_positions
        assert torch.equal(held.weight, stored.state[f"{side}.embed_positions.weight"])
        assert held.max_positions == 64
    source = tiny.rows(["\u2581w1 " * 60 + "</s> [en_XX]"])
    assert model(source, None, tiny.rows(["[en_XX] \u2581w1"], left=False))[0].isfinite().all()


@pytest.mark.parametrize("kind", ["slim", "whole"])
def test_a_checkpoint_brings_its_own_size(backbone: Path, kind: str) -> None:
    """But training no smaller one: validation texts were cut to the model's by then."""
    trained = built(64)
    trained.load_backbone(backbones.read(str(backbone)))
    state = trained.state_dict if kind == "slim" else lambda: tiny.whole_state_dict(trained)
    for positions in (16, 100):
        model = built(positions)
        model.load_state_dict(state())
        assert model.max_positions() == (64, 64)
    model = built(100)
    model.start(["en_XX"])
    with pytest.raises(LaftError, match=r"has 64 positions in its encoder; give --max-source-pos"):
        model.load_state_dict(state())


@pytest.mark.parametrize(("option", "expected"), [(32, 32), (1024, 64)])
def test_texts_are_cut_to_the_option_and_to_the_backbone(
    backbone: Path, option: int, expected: int
) -> None:
    task = tiny.task(max_source_positions=option, max_target_positions=option)
    args = Namespace(method="mbart_enc", arch="laft_mbart_tiny", backbone=str(backbone))
    args.max_source_positions = args.max_target_positions = option
    laft_mbart_tiny(args)
    model = task.build_model(args)
    assert model.max_positions() == (64, 64)
    assert task.max_positions() == (expected, expected)
