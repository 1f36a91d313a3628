"""The position tables have the size of the backbone or checkpoint that goes into the model.

``--max-source-positions`` and ``--max-target-positions`` size them where training begins from
nothing; elsewhere they only cut texts (tasks/split_task.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from laft_fairseq.errors import LaftError

SIDES = {"encoder": "max_source_positions", "decoder": "max_target_positions"}


def table(side: str) -> str:
    """The name of the position table of ``encoder`` or ``decoder``."""
    return f"{side}.embed_positions.weight"


def fit_positions(model: Any, state: Mapping[str, Tensor]) -> None:
    """Give the tables of a LAFTMBart the sizes that they have in ``state``, to be filled from it.

    The options that its checkpoints record follow, so that it is built alike.
    """
    for side, option in SIDES.items():
        held, own = state.get(table(side)), getattr(model, side).embed_positions
        if held is None or len(held) == len(own.weight):
            continue
        own.weight.data = own.weight.new_zeros(len(held), own.embedding_dim)
        own.num_embeddings = len(held)
        own.max_positions = len(held) - own.padding_idx - 1
        setattr(getattr(model, side), option, own.max_positions)
        setattr(model.recorded, option, own.max_positions)


def check_positions(model: Any, state: Mapping[str, Tensor], name: str) -> None:
    """Refuse to begin with fewer positions than the model's, to which texts may be cut by now.

    Raises:
        LaftError: names the checkpoint and the option.
    """
    for side, option in SIDES.items():
        held, own = state.get(table(side)), getattr(model, side).embed_positions
        if held is not None and len(held) < len(own.weight) and model.train_langs:
            most = len(held) - own.padding_idx - 1
            flag = "--" + option.replace("_", "-")
            raise LaftError(f"{name}: has {most} positions in its {side}; give {flag} {most}")
