"""The baseline LoRA (Hu et al., ICLR 2022), by Hugging Face's peft: W + B A beside frozen W.

W stands for the four projections of every attention and the two of every feed-forward block, of
encoder and decoder. A begins at random and B at zero, so that a fresh LoRA is the backbone bit for
bit. The update is not scaled (alpha is the rank) and has no dropout.
"""

import re
from typing import Any, cast

import torch
from torch import Tensor, nn

from laft_fairseq.errors import LaftError

NAME = "lora"  # of the one adapter that peft makes
TARGETS = r"(en|de)coder\.layers\.\d+\.(\w+_attn\.\w+_proj|fc[12])"


def rank_at_share_of_laft(model: Any) -> int:
    """Return the rank at which LoRA has as many parameters as a task module of two layers."""
    task_module = 2 * sum(parameter.numel() for parameter in model.encoder.layers[0].parameters())
    per_rank = sum(
        module.in_features + module.out_features
        for name, module in model.named_modules()
        if re.fullmatch(TARGETS, name)
    )
    return max(1, round(task_module / per_rank))


def add_lora(model: nn.Module, rank: int) -> None:
    """Put peft's low-rank updates beside a model's projections, in place.

    A ``rank`` of 0 stands for :func:`rank_at_share_of_laft`.

    Raises:
        LaftError: peft is not installed, or a negative rank.
    """
    if rank < 0:
        raise LaftError(f"--lora-rank {rank}: must be positive, or 0 for LAFT's share")
    try:
        from peft import LoraConfig, inject_adapter_in_model
        from peft.tuners.lora import Linear
    except ImportError:
        raise LaftError(
            "peft, which --method lora needs, is not installed: pip install 'laft_fairseq[lora]'"
        ) from None

    class Projection(Linear):
        """peft's projection with W under its own name, also for those who read ``weight``.

        W and the bias keep the names that they have in the backbone, by which checkpoints and
        freezing know them. fairseq's attention hands ``weight`` to torch and does not call the
        projection, so ``weight`` is W + B A, as peft computes it. The sum is in fp32 under autocast
        as well: in bf16 small updates would be rounded away.
        """

        def __init__(self, base_layer: nn.Linear, adapter_name: str, **kwargs: Any) -> None:
            super().__init__(base_layer, adapter_name, **kwargs)
            del self._modules["base_layer"]
            self.__dict__["base_layer"] = base_layer
            self.__dict__["_parameters"] = base_layer._parameters

        @property
        def weight(self) -> Tensor:
            """Return W + B A, (out, in)."""
            if self.merged:
                return self.base_layer.weight
            with torch.autocast("cuda" if self.base_layer.weight.is_cuda else "cpu", enabled=False):
                return self.base_layer.weight + self.get_delta_weight(NAME)

    rank = rank or rank_at_share_of_laft(model)
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=TARGETS)
    config._register_custom_module({nn.Linear: Projection})
    inject_adapter_in_model(config, model, adapter_name=NAME)


def merged_state(model: nn.Module) -> dict[str, Tensor]:
    """Return all tensors of a model, with LoRA's updates, if it has any, added to W."""
    for module in model.modules():
        if hasattr(module, "lora_A"):
            cast(Any, module).merge()
    state = nn.Module.state_dict(model)  # whole, whatever a checkpoint would leave out
    return {name: tensor for name, tensor in state.items() if f".{NAME}." not in name}
