"""A Hugging Face mBART or M2M-100, read by transformers, as fairseq's tensors and options.

The tensors are the same and lie the same way round; only their names differ, and what
``config.json`` says stands among fairseq's options.
"""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from laft_fairseq.checkpoints.backbone import EMBEDDING, TIED
from laft_fairseq.errors import LaftError, in_one_line

MBART, M2M = "mbart", "m2m_100"  # by model_type; the second is NLLB-200's too
CLASSES = {MBART: "MBartForConditionalGeneration", M2M: "M2M100ForConditionalGeneration"}
ARCHITECTURES = {MBART: "laft_mbart", M2M: "laft_m2m"}
T5 = ("t5", "mt5", "umt5")
# What config.json may say, for fairseq to have the same model; absent, the first.
ALLOWED: dict[str, tuple[Any, ...]] = {
    "model_type": tuple(CLASSES),
    "is_encoder_decoder": (True,),
    "tie_word_embeddings": (True,),
    "bos_token_id": (0,),
    "pad_token_id": (1,),
    "eos_token_id": (2,),
    "activation_function": ("gelu", "relu"),  # relu: translation models made of mBART-50
}
ALLOWED_OF_MBART: dict[str, tuple[Any, ...]] = {
    "normalize_before": (True,),
    "add_final_layer_norm": (True,),
    "normalize_embedding": (True,),
    "static_position_embeddings": (False,),
    "scale_embedding": (True,),
}


def load_transformers() -> Any:
    """Return the module ``transformers``, told to print errors only.

    Raises:
        LaftError: not installed.
    """
    try:
        import transformers
    except ImportError:
        raise LaftError(
            "transformers, which reads Hugging Face models, is not installed: "
            "pip install 'laft_fairseq[hf]'"
        ) from None
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


def read_config(folder: Path) -> Any:
    """Return the ``MBartConfig`` or ``M2M100Config`` of a directory, which fairseq can run.

    Raises:
        LaftError: unreadable, an adapter without its model, another family's, or one built in
            another way.
    """
    transformers = load_transformers()
    if any(folder.glob("adapter_*")):
        raise LaftError(
            f"{folder}: holds a PEFT adapter, and not the model; merge it first, by "
            "PeftModel.from_pretrained(MODEL, ADAPTER).merge_and_unload().save_pretrained(FOLDER), "
            "and import that folder"
        )
    if (folder / "modeling_laft.py").is_file():
        raise LaftError(
            f"{folder}: holds a trained system with parts of its own, written by `laft export`, "
            "and not a plain mBART; use the backbone that it was trained on"
        )
    try:
        config = transformers.AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise LaftError(
            f"{folder}: no config.json that transformers can read ({in_one_line(error)}); "
            "give the whole Hugging Face directory"
        ) from None
    if config.model_type in T5:
        raise LaftError(
            f"{folder}: a T5 model, which cannot be imported: mT5 and umT5 have no language tags, "
            "and fairseq has no layers like theirs (docs/backbones.md says more)"
        )
    rules = ALLOWED | (ALLOWED_OF_MBART if config.model_type == MBART else {})
    for key, allowed in rules.items():
        value = getattr(config, key, allowed[0])
        if value not in allowed:
            raise LaftError(
                f"{folder / 'config.json'}: {key} is {value!r}, not {allowed[0]!r}; only models "
                "built as mBART-cc25, mBART-50, M2M-100 and NLLB-200 are can be imported"
            )
    return config


def read_model(folder: Path, config: Any) -> Any:
    """Return the model of a directory, of the class in CLASSES, its weights mapped, not copied.

    Weights are read from safetensors, else weights-only from ``pytorch_model.bin``, whole or in
    shards. They keep the precision they are stored in (that of the first tensor, if they differ).

    Raises:
        LaftError: files that are absent, damaged or hold more than weights; a tensor that is
            missing, unknown or of another size than ``config`` makes it; untied embeddings.
    """
    transformers = load_transformers()

    class TiedModel(getattr(transformers, CLASSES[config.model_type])):  # type: ignore[misc]
        """A model that notices if the stored copies of its embedding differ."""

        # sinusoidal ones, which some files of M2M-100 hold
        _keys_to_ignore_on_load_unexpected: ClassVar = [r"embed_positions\.weights$"]
        copies_differ = False

        def tie_weights(self) -> None:
            """Compare the copies that were stored (the others are on the meta device), tie all."""
            places = (
                self.model.shared,
                self.model.encoder.embed_tokens,
                self.model.decoder.embed_tokens,
                self.lm_head,
            )
            stored = [place.weight for place in places if not place.weight.is_meta]
            if stored:
                self.copies_differ |= not all(torch.equal(stored[0], copy) for copy in stored[1:])
                self.model.shared.weight = stored[0]
            super().tie_weights()

    config.dtype = None  # else it, not the file, decides the precision
    try:
        model, loaded = TiedModel.from_pretrained(
            folder,
            config=config,
            dtype="auto",
            local_files_only=True,
            weights_only=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            output_loading_info=True,
        )
    except Exception as error:  # of transformers, safetensors or torch, of any kind
        raise LaftError(
            f"{folder}: transformers cannot read its weights, and ran nothing in them "
            f"({in_one_line(error)}); fetch them again (`git lfs pull`), as safetensors if there "
            "are any"
        ) from None
    for kind in ("missing", "unexpected", "mismatched"):  # the last: of another shape
        for name in loaded[f"{kind}_keys"]:
            raise LaftError(
                f"{folder}: {kind} tensor {name}; its weights are not those of the model that "
                "config.json describes"
            )
    if model.copies_differ:
        raise LaftError(
            f"{folder}: holds several embeddings that differ; only models that tie shared, "
            "encoder, decoder and lm_head weights can be imported"
        )
    return model


def converted(
    model: Any, folder: str | Path = "model", rows: Tensor | None = None
) -> dict[str, Tensor]:
    """Return the tensors of a Hugging Face model under fairseq's names.

    Nothing is copied but the embedding, where only some of its ``rows`` are wanted.
    ``final_logits_bias``, zero in every mBART, is left out, and fairseq's version marks are added,
    without which it drops both last layer norms.

    Raises:
        LaftError: an output bias that is not zero, in the directory ``folder``.
    """
    state = {name.removeprefix("model."): tensor for name, tensor in model.state_dict().items()}
    if state.pop("final_logits_bias", torch.zeros(1)).count_nonzero():
        raise LaftError(
            f"{folder}: final_logits_bias is not zero, and fairseq has no place for an output bias"
        )
    del state["shared.weight"]
    state[TIED[1]] = state.pop("lm_head.weight")
    if rows is not None:
        state |= dict.fromkeys((EMBEDDING, *TIED), state[EMBEDDING][rows])
    return state | {f"{side}.version": torch.tensor([3.0]) for side in ("encoder", "decoder")}


def arguments(config: Any, tags: Sequence[str], layout: str) -> Namespace:
    """Return fairseq's options of this model, as its checkpoints record them."""
    arch = ARCHITECTURES[config.model_type]
    options: dict[str, Any] = {"arch": arch, "langs": ",".join(tags), "tag_layout": layout}
    options["activation_fn"] = config.activation_function
    if not config.scale_embedding:
        options["no_scale_embedding"] = True
    for side in ("encoder", "decoder"):
        options[f"{side}_layers"] = getattr(config, f"{side}_layers")
        options[f"{side}_embed_dim"] = config.d_model
        options[f"{side}_ffn_embed_dim"] = getattr(config, f"{side}_ffn_dim")
        options[f"{side}_attention_heads"] = getattr(config, f"{side}_attention_heads")
    for side in ("source", "target"):
        options[f"max_{side}_positions"] = config.max_position_embeddings
    return Namespace(**options)
