"""``--arch``: the shapes of mBART, and M2M-100's, which a backbone's file tells."""

from argparse import Namespace
from typing import Any

from fairseq.models import ARCH_MODEL_REGISTRY, register_model_architecture
from fairseq.models.bart import mbart_large_architecture

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints.record import shape_arguments
from laft_fairseq.models.options import fill_defaults


def _shape(args: Namespace, layers: int, d: int, ffn: int, heads: int) -> None:
    """Fill in the width and depth of both stacks."""
    values = {"layers": layers, "embed_dim": d, "ffn_embed_dim": ffn, "attention_heads": heads}
    for side in ("encoder", "decoder"):
        for key, value in values.items():
            name = f"{side}_{key}"
            setattr(args, name, getattr(args, name, value))
    fill_defaults(args, fusion_dim=d, language_adapter_dim=d // 2)


def laft_mbart(args: Namespace) -> None:
    """mBART-large: 12 + 12 layers of width 1024, pre-norm in both stacks."""
    args.encoder_normalize_before = args.decoder_normalize_before = True
    fill_defaults(args)
    mbart_large_architecture(args)


def laft_mbart_base(args: Namespace) -> None:
    """6 + 6 layers of width 768."""
    _shape(args, 6, 768, 3072, 12)
    laft_mbart(args)


def laft_mbart_mini(args: Namespace) -> None:
    """4 + 4 layers of width 256: the small backbone that ships with the examples."""
    _shape(args, 4, 256, 1024, 4)
    laft_mbart(args)


def laft_mbart_tiny(args: Namespace) -> None:
    """2 + 2 layers of width 32: for tests."""
    _shape(args, 2, 32, 64, 2)
    laft_mbart(args)


def laft_m2m(args: Namespace) -> None:
    """M2M-100 and NLLB-200: sinusoidal positions, ReLU, no layer norm of the embedding.

    Depth, width, heads and activation are those of ``--backbone``; without one, those of
    NLLB-200-distilled-600M and m2m100_418M.
    """
    values: dict[str, Any] = {"activation_fn": "relu"}
    if getattr(args, "backbone", None) and not hasattr(args, "encoder_layers"):
        backbone = backbones.read(args.backbone)
        values |= {**shape_arguments(backbone.state, backbone.path), **backbone.options}
    values |= dict.fromkeys(
        ("layernorm_embedding", "encoder_learned_pos", "decoder_learned_pos"), False
    )
    vars(args).update({**values, **vars(args)})
    _shape(args, 12, getattr(args, "encoder_embed_dim", 1024), 4096, 16)
    laft_mbart(args)


def register() -> None:
    """Register each with fairseq, once the model is."""
    for architecture in (laft_mbart, laft_mbart_base, laft_mbart_mini, laft_mbart_tiny, laft_m2m):
        if architecture.__name__ not in ARCH_MODEL_REGISTRY:
            register_model_architecture("laft_mbart", architecture.__name__)(architecture)
