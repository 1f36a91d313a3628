"""The task adapter of the baseline Adapter: Pfeiffer's bottleneck (AdapterFusion, EACL 2021)."""

import torch.nn.functional as F
from torch import Tensor, nn

from laft_fairseq.errors import LaftError


class TaskAdapter(nn.Module):
    """y = z + U ReLU(D z), with D from d to d / ``reduction``, U back to d, both with biases.

    One for all languages, after a layer's feed-forward block: adapter-hub's ``SeqBnConfig`` on a
    pre-norm mBART, where z is the block's output with its residual. There D and U start at
    N(0, 0.02); here U starts at zero, so that a fresh adapter is the identity bit for bit. U has a
    gradient from the first step on, as ReLU(D z) is not zero, D from the second.

    Raises:
        LaftError: a reduction that leaves no width.
    """

    def __init__(self, d: int, reduction: int) -> None:
        if not 1 <= reduction <= d:
            raise LaftError(
                f"--task-adapter-reduction {reduction}: must be within 1..{d}, the model's width"
            )
        super().__init__()
        self.down = nn.Linear(d, d // reduction)
        self.up = nn.Linear(d // reduction, d)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the identity."""
        nn.init.normal_(self.down.weight, std=0.02)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, z: Tensor) -> Tensor:
        """Return y (T, B, d) for z (T, B, d)."""
        return z + self.up(F.relu(self.down(z)))
