"""The position tables have the size of the backbone or checkpoint that goes into the model.

``--max-source-positions`` and ``--max-target-positions`` size them where training begins from
nothing; elsewhere they only cut texts (tasks/laft_task.py).
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from laft_fairseq.errors import LaftError, flag

SIDES = {"encoder": "max_source_positions", "decoder": "max_target_positions"}


def fit_positions(model: Any, state: Mapping[str, Tensor], path: str | None = None) -> None:
    """Give the tables of a LAFTMBart the sizes that they have in ``state``, to be filled from it.

    The options that its checkpoints record follow, so that it is built alike.

    With the ``path`` of its file, tables smaller than those of a model that begins to train are
    refused: its texts may be cut to the model's positions by now.
    """
    for side, option in SIDES.items():
        stored = state.get(f"{side}.embed_positions.weight")
        module = getattr(model, side).embed_positions
        learned = hasattr(module, "weight")
        if stored is None or not learned or len(stored) == len(module.weight):
            continue
        positions = len(stored) - module.padding_idx - 1
        if path is not None and model.train_langs and len(stored) < len(module.weight):
            raise LaftError(
                f"{path}: has {positions} positions in its {side}; give {flag(option)} {positions}"
            )
        module.weight.data = module.weight.new_zeros(len(stored), module.embedding_dim)
        module.num_embeddings, module.max_positions = len(stored), positions
        setattr(getattr(model, side), option, positions)
        setattr(model.recorded, option, positions)
