"""A random small mBART of Hugging Face's, its weights renamed, gives our backbone's logits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from laft_fairseq import backbone as backbones
from tests import tiny

transformers = pytest.importorskip("transformers")

COPIES = ("encoder.embed_tokens", "decoder.embed_tokens", "decoder.output_projection")
TEXTS = (
    "\u2581w1 c1 \u2581w2 c2 <mask> </s> [en_XX]",
    "一 二 三 </s> [zh_CN]",
    "\u2581w7 c7 </s> [fr_XX]",
)


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Hugging Face's names -> fairseq's."""
    dropped = ("final_logits_bias", "lm_head.", "model.shared.")
    out = {name.removeprefix("model."): tensor for name, tensor in state.items()
           if not name.startswith(dropped) and "embed_tokens" not in name}  # fmt: skip
    return out | {f"{copy}.weight": state["model.shared.weight"] for copy in COPIES}


@pytest.fixture(scope="module")
def theirs() -> Any:
    config = transformers.MBartConfig(
        vocab_size=len(tiny.dictionary()), d_model=tiny.D, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=64,
        decoder_ffn_dim=64, max_position_embeddings=64, scale_embedding=True, init_std=0.1,
        activation_function="gelu", pad_token_id=1, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    built = transformers.MBartForConditionalGeneration(config).eval()
    tiny.scramble(built, std=0.3)
    return built


@pytest.mark.parametrize("left", [True, False], ids=["left-padded", "right-padded"])
@pytest.mark.parametrize("method", ["mbart_full", "laft"])
@torch.no_grad()
def test_logits_agree(theirs: Any, left: bool, method: str, tmp_path: Path) -> None:
    torch.save({"model": renamed(theirs.state_dict())}, tmp_path / "model.pt")
    ours = tiny.model(method=method, removal="none", dropout=0.0)
    ours.load_backbone(backbones.read(str(tmp_path / "model.pt")))
    right = tiny.rows(TEXTS, left=False)
    target = ["[en_XX] \u2581w1 c1", "[zh_CN] 一", "[fr_XX] \u2581w7 c7 \u2581w8"]
    previous = tiny.rows(target, left=False)
    expected = theirs(
        input_ids=right, attention_mask=right.ne(1).long(), decoder_input_ids=previous
    ).logits
    logits, _ = ours(tiny.rows(TEXTS, left), None, previous)
    real = previous.ne(1)
    assert expected[real].abs().mean() > 0.3
    torch.testing.assert_close(logits[real], expected[real], rtol=0, atol=1e-5)
