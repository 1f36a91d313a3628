"""An mBART as Hugging Face keeps it -> fairseq's names and options.

The tensors are the same and lie the same way round; only names differ, the embedding is kept
once, and what fairseq takes from options stands in ``config.json``. transformers is not needed.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from laft_fairseq.checkpoints.backbone import EMBEDDING, TIED
from laft_fairseq.checkpoints.reading import read_checkpoint
from laft_fairseq.errors import LaftError

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
LFS_POINTER = b"version https://git-lfs"
ACTIVATIONS = ("gelu", "relu")  # relu: the translation models made of mBART-50
POSITION_OFFSET = 2  # positions begin after <s> and <pad>, in both libraries
BIAS = "final_logits_bias"
# Hugging Face's copies of the one embedding, without `model.`.
COPIES = (
    "shared.weight",
    "encoder.embed_tokens.weight",
    "decoder.embed_tokens.weight",
    "lm_head.weight",
)
# What config.json must say: the value where it says nothing, and the one that mBART has.
FIXED: dict[str, tuple[Any, Any]] = {
    "model_type": (None, "mbart"),
    "is_encoder_decoder": (True, True),
    "normalize_before": (True, True),
    "add_final_layer_norm": (True, True),
    "normalize_embedding": (True, True),
    "static_position_embeddings": (False, False),
    "scale_embedding": (False, True),
    "tie_word_embeddings": (True, True),
    "bos_token_id": (0, 0),
    "pad_token_id": (1, 1),
    "eos_token_id": (2, 2),
}
SIZES = ("d_model", "encoder_layers", "decoder_layers", "encoder_ffn_dim", "decoder_ffn_dim",
         "encoder_attention_heads", "decoder_attention_heads", "max_position_embeddings",
         "vocab_size")  # fmt: skip


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises LaftError where the file is absent, a pointer or damaged."""
    refuse_pointer(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LaftError(f"{path}: no such file; give the whole Hugging Face directory") from None
    except (ValueError, OSError) as error:
        raise LaftError(f"{path}: cannot be read as JSON ({error}); fetch it again") from None
    if not isinstance(content, dict):
        raise LaftError(f"{path}: holds no JSON object; fetch it again")
    return content


def refuse_pointer(path: Path) -> None:
    """Refuse the small text that Git LFS leaves in place of a file it has not fetched."""
    if path.is_file():
        with path.open("rb") as handle:
            if handle.read(len(LFS_POINTER)) == LFS_POINTER:
                raise LaftError(f"{path}: a Git LFS pointer, not the file; run `git lfs pull`")


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json``, checked to describe an mBART that fairseq can run.

    Raises:
        LaftError: not an mBART, or one built in another way.
    """
    path = folder / "config.json"
    config = read_json(path)
    for key, (absent, wanted) in FIXED.items():
        found = config.get(key, absent)
        if found != wanted:
            raise LaftError(
                f"{path}: {key} is {json.dumps(found)}, not {json.dumps(wanted)}; only models "
                "built as mbart-large-cc25 and mbart-large-50 are can be imported"
            )
    if config.get("activation_function", "gelu") not in ACTIVATIONS:
        raise LaftError(
            f"{path}: activation_function is {config['activation_function']!r}; "
            f"only {' and '.join(ACTIVATIONS)} can be imported"
        )
    for key in SIZES:
        if not isinstance(config.get(key), int) or config[key] < 1:
            raise LaftError(f"{path}: {key} is {config.get(key)!r}, not a positive number")
    for side in ("encoder", "decoder"):
        if config["d_model"] % config[f"{side}_attention_heads"]:
            raise LaftError(
                f"{path}: d_model {config['d_model']} cannot be parted among "
                f"{config[f'{side}_attention_heads']} heads"
            )
    return config


def expected_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of this mBART, under fairseq's names; the embedding once."""
    d = config["d_model"]
    shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (config["vocab_size"], d)}

    def add(name: str, rows: int, columns: int | None = None) -> None:
        shapes[f"{name}.weight"] = (rows,) if columns is None else (rows, columns)
        shapes[f"{name}.bias"] = (rows,)

    for side, attentions in (
        ("encoder", ("self_attn",)),
        ("decoder", ("self_attn", "encoder_attn")),
    ):
        positions = config["max_position_embeddings"] + POSITION_OFFSET
        shapes[f"{side}.embed_positions.weight"] = (positions, d)
        add(f"{side}.layernorm_embedding", d)
        add(f"{side}.layer_norm", d)
        ffn = config[f"{side}_ffn_dim"]
        for number in range(config[f"{side}_layers"]):
            layer = f"{side}.layers.{number}"
            for attention in attentions:
                for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
                    add(f"{layer}.{attention}.{projection}", d, d)
                add(f"{layer}.{attention}_layer_norm", d)
            add(f"{layer}.fc1", ffn, d)
            add(f"{layer}.fc2", d, ffn)
            add(f"{layer}.final_layer_norm", d)
    return shapes


def weight_files(folder: Path) -> list[Path]:
    """The file of weights, or its shards: safetensors if there are any, else PyTorch's.

    Raises:
        LaftError: none there, or a shard is missing.
    """
    for name in WEIGHTS:
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            table = read_json(index).get("weight_map")
            if not isinstance(table, dict) or not table:
                raise LaftError(f"{index}: has no weight_map; fetch it again")
            shards = [folder / Path(str(shard)).name for shard in sorted(set(table.values()))]
            for shard in shards:
                if not shard.is_file():
                    raise LaftError(f"{shard}: no such file, but {index.name} names it; fetch it")
            return shards
    raise LaftError(f"{folder}: neither {' nor '.join(WEIGHTS)} in it, whole or in shards")


def read_weights(path: Path) -> dict[str, Tensor]:
    """One file's tensors under its own names, mapped where the format allows, to the CPU.

    Raises:
        LaftError: damaged, or a pickle with anything but weights in it.
    """
    refuse_pointer(path)
    if path.suffix != ".safetensors":
        weights: dict[str, Any] = read_checkpoint(str(path), mmap=True)
    else:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt", device="cpu") as handle:
                weights = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            reason = str(error).split("\n")[0][:160]
            raise LaftError(f"{path}: corrupt or truncated ({reason}); fetch it again") from None
    for name, value in weights.items():
        if not isinstance(value, Tensor) or not value.is_floating_point():
            what = value.dtype if isinstance(value, Tensor) else type(value).__name__
            raise LaftError(f"{path}: {name} is {what}, not a tensor of floating-point numbers")
    return weights


def converted(weights: Mapping[str, Tensor], name: str | Path = "weights") -> dict[str, Tensor]:
    """Hugging Face's tensors under fairseq's names; nothing is copied.

    The embedding goes under its three names, ``final_logits_bias`` (zero in every mBART) is left
    out, and fairseq's version marks are added, without which it drops both last layer norms.

    Raises:
        LaftError: an output bias that is not zero, or embeddings that are not one.
    """
    state: dict[str, Tensor] = {}
    embedding: Tensor | None = None
    for key, tensor in weights.items():
        bare = key.removeprefix("model.")
        if bare in COPIES:
            if embedding is not None and not _equal(embedding, tensor):
                raise LaftError(
                    f"{name}: {key} differs from the other copies of the embedding; "
                    "only models that tie them can be imported"
                )
            embedding = tensor
        elif bare == BIAS:
            if tensor.count_nonzero():
                raise LaftError(
                    f"{name}: {BIAS} is not zero, and fairseq has no place for an output bias"
                )
        elif bare in state:
            raise LaftError(f"{name}: holds {bare} both with and without `model.`")
        else:
            state[bare] = tensor
    if embedding is None:
        raise LaftError(f"{name}: no embedding (model.shared.weight) in it")
    state |= dict.fromkeys((EMBEDDING, *TIED), embedding)
    return state | {f"{side}.version": torch.tensor([3.0]) for side in ("encoder", "decoder")}


def _equal(one: Tensor, other: Tensor) -> bool:
    same_place = one.data_ptr() == other.data_ptr() and one.shape == other.shape
    return same_place or torch.equal(one, other)


def read_state(folder: Path, config: Mapping[str, Any]) -> dict[str, Tensor]:
    """The model's tensors under fairseq's names, checked one by one against ``config``.

    Raises:
        LaftError: a file or tensor is missing, damaged, unknown or of another shape.
    """
    files = weight_files(folder)
    weights: dict[str, Tensor] = {}
    for path in files:
        for name, tensor in read_weights(path).items():
            if name in weights:
                raise LaftError(f"{path}: holds {name}, which another shard holds as well")
            weights[name] = tensor
    origin = files[0] if len(files) == 1 else folder
    state = converted(weights, origin)
    expected = expected_shapes(config)
    for key, shape in expected.items():
        if key not in state:
            raise LaftError(f"{origin}: has no {key}, which config.json asks for; fetch it again")
        if tuple(state[key].shape) != shape:
            raise LaftError(
                f"{origin}: {key} is {tuple(state[key].shape)}, but config.json makes it {shape}"
            )
    marks = {"encoder.version", "decoder.version"}
    unknown = next((key for key in state if key not in {*expected, *TIED, *marks}), None)
    if unknown is not None:
        raise LaftError(f"{origin}: holds {unknown}, which is no part of an mBART")
    return state


def arguments(config: Mapping[str, Any], tags: Sequence[str], layout: str) -> Namespace:
    """fairseq's options of this mBART, as its checkpoints record them."""
    options: dict[str, Any] = {"arch": "laft_mbart", "langs": ",".join(tags), "tag_layout": layout}
    options["activation_fn"] = config.get("activation_function", "gelu")
    for side in ("encoder", "decoder"):
        options[f"{side}_layers"] = config[f"{side}_layers"]
        options[f"{side}_embed_dim"] = config["d_model"]
        options[f"{side}_ffn_embed_dim"] = config[f"{side}_ffn_dim"]
        options[f"{side}_attention_heads"] = config[f"{side}_attention_heads"]
    for side in ("source", "target"):
        options[f"max_{side}_positions"] = config["max_position_embeddings"]
    return Namespace(**options)
