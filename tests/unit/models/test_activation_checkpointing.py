"""`--checkpoint-activations`: the same gradients, from layers that are computed twice."""

from typing import Any

import pytest
import torch
from torch import Tensor

from laft_fairseq.training.frozen_weights import Casts
from laft_fairseq.training.precision import autocast
from tests import tiny

SOURCES = ["▁w1 c1 </s> [en_XX]", "▁w1 c1 ▁w2 c2 </s> [fr_XX]"]
INPUTS = ["[en_XX] ▁w1 c1", "[fr_XX] ▁w2 c2 ▁w3"]
NO_DROPOUT = {"dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0}


def gradients(precision: str, **options: Any) -> tuple[dict[str, Tensor | None], int]:
    """Of every trained parameter, and how often a decoder layer's feed-forward block ran."""
    runs = []
    model = tiny.model(**options)
    tiny.scramble(model, std=0.1)
    model.train()
    model.decoder.layers[0].fc1.register_forward_hook(lambda *_: runs.append(1))
    with autocast(model, precision, Casts()):
        logits, _ = model(tiny.rows(SOURCES), None, tiny.rows(INPUTS, left=False))
        loss = logits.float().log_softmax(-1)[..., 5].sum()
    loss.backward()
    trained = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    return trained, len(runs)


@pytest.mark.parametrize("precision", ["none", "bf16"])
@pytest.mark.parametrize("method", ["laft", "mbart_full", "mbart_enc_top2", "adapter", "lora"])
def test_gradients_are_the_same(method: str, precision: str) -> None:
    """Rows above a frozen embedding too, and in training's own precision: bit for bit."""
    options = {"method": method, "stage": "denoising", **NO_DROPOUT}
    plain, once = gradients(precision, **options)
    for how in ("checkpoint_activations", "offload_activations"):
        flags = {"checkpoint_activations": True, how: True}
        again, twice = gradients(precision, **options, **flags)
        assert (once, twice) == (1, 2)
        for name, gradient in plain.items():
            assert gradient is not None, name
            assert torch.equal(gradient, again[name]), name  # type: ignore[arg-type]


def test_dropout_is_that_of_the_forward_pass() -> None:
    options = {"method": "mbart_enc", "dropout": 0.3}
    plain, _ = gradients("none", **options)
    again, _ = gradients("none", **options, checkpoint_activations=True)
    for name, gradient in plain.items():
        assert torch.equal(gradient, again[name]), name  # type: ignore[arg-type]
