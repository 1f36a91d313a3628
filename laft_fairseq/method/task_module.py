"""The task module TM (section 3.1): two mBART encoder layers on the language-agnostic r."""

from fairseq.models.transformer import TransformerConfig
from fairseq.modules.transformer_layer import TransformerEncoderLayerBase
from torch import Tensor, nn

from laft_fairseq.errors import LaftError

INITIALISATIONS = ("identity", "random")


class TaskModule(nn.ModuleList):
    """h = TM(r): ``layers`` pre-norm encoder layers of the backbone's own shape.

    With ``identity`` each residual branch starts at zero (``out_proj`` and ``fc2``), so that a
    fresh task module returns its input bit for bit; ``random`` keeps BERT's initialisation.
    """

    def __init__(self, cfg: TransformerConfig, layers: int) -> None:
        if layers < 1:
            raise LaftError(f"--task-module-layers {layers}: must be at least 1")
        super().__init__(TransformerEncoderLayerBase(cfg) for _ in range(layers))

    def start_as_identity(self) -> None:
        """Set the last projection of each residual branch to zero."""
        for layer in self:
            assert isinstance(layer, TransformerEncoderLayerBase)
            for last in (layer.self_attn.out_proj, layer.fc2):
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)

    def forward(self, r: Tensor, padding_mask: Tensor | None) -> Tensor:
        """Return h (T, B, d) for r (T, B, d); the (B, T) mask is True at padding, or None."""
        h = r  # (T, B, d)
        for layer in self:
            h = layer(h, encoder_padding_mask=padding_mask)  # (T, B, d)
        return h
