"""A trained model as a Hugging Face directory: the way back from hugging_face.py.

A system that adds nothing to its backbone, or whose parts are merged, becomes a plain
``MBartForConditionalGeneration`` or ``M2M100ForConditionalGeneration``; the others come with their
modelling file, modeling_laft.py.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from fairseq.data import Dictionary
from torch import Tensor

from laft_fairseq.backbone.hugging_face import CLASSES, M2M, MBART, load_transformers
from laft_fairseq.checkpoints.backbone import EMBEDDING, TIED, is_added
from laft_fairseq.errors import LaftError
from laft_fairseq.languages.byte_fallback import is_byte
from laft_fairseq.languages.dictionary import MASK
from laft_fairseq.languages.layout import TagLayout

POSITIONS = "encoder.embed_positions.weight"  # M2M-100, whose positions are sinusoidal, has none
MAX_NEW_TOKENS = 200  # as laft generate's --max-len-b


def build(model: Any, state: dict[str, Tensor], dictionary: Dictionary, lang: str) -> Any:
    """Return the transformers model of a LAFTMBart; weights are shared, not copied.

    ``model`` is in eval, with LoRA merged; ``state`` are all its tensors, in the precision to be
    written; ``lang`` is the language written where none is named.
    """
    transformers = load_transformers()
    if model.encoder.new_tag_rows:
        raise LaftError(
            f"{next(iter(model.encoder.new_tag_rows))}: new to the backbone; its tag has one "
            "embedding in the encoder and another in the decoder, for which transformers' models "
            "have no place"
        )
    tags, config = model.encoder.language_tags, _shape(model.recorded, state)
    generation = {
        "num_beams": 5, "length_penalty": 1.5, "early_stopping": True, "forced_eos_token_id": 2,
        "max_new_tokens": min(MAX_NEW_TOKENS, config["max_position_embeddings"] - 2),
        "min_new_tokens": 1 + tags.layout.lead, "bos_token_id": 0, "pad_token_id": 1,
        "eos_token_id": 2, "decoder_start_token_id": 2,
        "bad_words_ids": [[token] for token in (0, 1, 3, tags.mask, *tags.token_ids)],
    }  # fmt: skip
    begin = "forced_bos_token_id" if tags.layout is TagLayout.PREFIX else "decoder_start_token_id"
    generation[begin] = dictionary.index(f"[{lang}]")
    renamed, is_mbart = _renamed(state, model), POSITIONS in state
    if any(map(is_added, state)) or model.encoder.mask_source_tag:
        from laft_fairseq.backbone import modeling_laft

        config |= _added(model, state) | {"sinusoidal_positions": not is_mbart}
        kind = modeling_laft.LaftForConditionalGeneration
    else:
        kind = getattr(transformers, CLASSES[MBART if is_mbart else M2M])
        if not is_mbart:
            del renamed["final_logits_bias"]
    with torch.device("meta"):
        built = kind(kind.config_class(**config))
    built.load_state_dict(renamed, assign=True)
    built.tie_weights()
    built.generation_config = transformers.GenerationConfig(**generation)
    return built.eval()


def _shape(options: Any, state: dict[str, Tensor]) -> dict[str, Any]:
    """Return the configuration of fairseq's options and a model's tensors."""
    tables = [state.get(POSITIONS), state.get(POSITIONS.replace("encoder", "decoder"))]
    positions = {len(table) - 2 for table in tables if table is not None}
    positions = positions or {max(options.max_source_positions, options.max_target_positions)}
    if len(positions) > 1:
        raise LaftError(
            f"the encoder and the decoder have different numbers of positions {sorted(positions)}, "
            "and transformers' mBART has one for both"
        )
    rows, d = state[EMBEDDING].shape
    sides = {
        f"{side}_{theirs}": getattr(options, f"{side}_{ours}")
        for side in ("encoder", "decoder")
        for theirs, ours in (
            ("layers", "layers"), ("ffn_dim", "ffn_embed_dim"),
            ("attention_heads", "attention_heads"),
        )
    }  # fmt: skip
    return sides | {
        "vocab_size": rows,
        "d_model": d,
        "max_position_embeddings": positions.pop(),
        "activation_function": options.activation_fn,
        "scale_embedding": not options.no_scale_embedding,
        "encoder_layerdrop": 0.0,
        "decoder_layerdrop": 0.0,
        "dropout": options.dropout,
        "attention_dropout": options.attention_dropout,
        "activation_dropout": options.activation_dropout,
    }


def _added(model: Any, state: dict[str, Tensor]) -> dict[str, Any]:
    """Return what LaftConfig says of the added parts (modeling_laft.py)."""
    encoder, decoder, options, tags = (
        model.encoder, model.decoder, model.options, model.encoder.language_tags,
    )  # fmt: skip
    entries = encoder.language_components if encoder.needs_components else {}
    if encoder.needs_components and not entries:
        raise LaftError("the checkpoint holds no language components; train both stages with them")
    task_adapter = state.get("encoder.layers.0.task_adapter.down.weight")
    return {
        "language_ids": dict(zip(tags.tags, tags.token_ids, strict=True)),
        "tag_layout": str(tags.layout),
        "mask_source_tag": encoder.mask_source_tag,
        "mask_token_id": tags.mask,
        "task_module_layers": len(encoder.task_module) if encoder.task_module is not None else 0,
        "gate": encoder.gate is not None,
        "removal": str(encoder.removal) if entries else "none",
        "num_components": max((entry.components.size(1) for entry in entries.values()), default=0),
        "component_languages": list(entries),
        "fusion_dim": options.fusion_dim if encoder.fusion is not None else 0,
        "fusion_input": str(options.fusion_input),
        "language_adapter_dim": options.language_adapter_dim if decoder.has_adapters else 0,
        "adapter_languages": decoder.adapter_tags(),
        "adapter_norm": str(options.adapter_norm),
        "task_adapter_dim": 0 if task_adapter is None else len(task_adapter),
    }


def _renamed(state: dict[str, Tensor], model: Any) -> dict[str, Tensor]:
    """Return the tensors under transformers' names, components stacked by language.

    Added are the output bias, which mBART has as zero, and the copies of the
    embedding.
    """
    left_out = (EMBEDDING, *TIED)
    renamed = {
        f"model.{name}": tensor
        for name, tensor in state.items()
        if name not in left_out
        and not name.endswith((".version", "._float_tensor"))
        and ".language_components." not in name
    }
    places = ("model.shared", "model.encoder.embed_tokens", "model.decoder.embed_tokens", "lm_head")
    renamed |= dict.fromkeys([f"{place}.weight" for place in places], state[EMBEDDING])
    renamed["final_logits_bias"] = torch.zeros(1, len(state[EMBEDDING]))
    entries = model.encoder.language_components.values() if model.encoder.needs_components else ()
    if entries:
        for name in ("components", "mean_removed"):
            stack = torch.stack([getattr(entry, name) for entry in entries])
            renamed[f"model.encoder.{name}"] = stack
    return renamed


def build_tokenizer(sentencepiece: Path, model: Any, dictionary: Dictionary, lang: str) -> Any:
    """Return a tokenizer whose ids are the dictionary's and which knows its tags as ``fr_XX``.

    NLLB's class is the one that takes any list of languages, and either tag layout. What it writes
    has no sentencepiece in it, but for the byte subwords of characters that it does not know.
    """
    transformers = load_transformers()
    from tokenizers import Regex, decoders, normalizers
    from transformers.convert_slow_tokenizer import SpmConverter

    tags = model.encoder.language_tags

    class Converter(SpmConverter):
        """transformers' conversion of a sentencepiece model, with our entries and byte fallback."""

        handle_byte_fallback = True

        def vocab(self, proto: Any) -> list[tuple[str, float]]:
            """Return each entry and its score."""
            scores = [0.0] * 4 + [piece.score for piece in proto.pieces[3:]]
            subwords = dictionary.symbols[: len(scores)]
            # else the text "<0xE4>" would be that byte
            scores = [
                -1e3 if is_byte(name) else score
                for name, score in zip(subwords, scores, strict=True)
            ]
            after = [*tags.tags, MASK]
            return [*zip([*subwords, *after], scores + [0.0] * len(after), strict=True)]

        def unk_id(self, proto: Any) -> int:
            """Return the id of ``<unk>``."""
            return dictionary.unk()

        def normalizer(self, proto: Any) -> Any:
            """Normalise as sentencepiece, which leaves no white space at the ends or twice."""
            table = proto.normalizer_spec.precompiled_charsmap
            characters = [normalizers.Precompiled(table)] if table else []
            spaces = [normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()]
            return normalizers.Sequence(characters + spaces)

        def decoder(self, replacement: str, add_prefix_space: bool) -> Any:
            """Join byte subwords to characters, then subwords to words."""
            words = super().decoder(replacement, add_prefix_space)
            return decoders.Sequence([decoders.ByteFallback(), words])

    converter = Converter(SimpleNamespace(vocab_file=str(sentencepiece)))
    return transformers.NllbTokenizerFast(
        vocab_file=str(sentencepiece),
        tokenizer_object=converter.converted(),
        additional_special_tokens=list(tags.tags),
        legacy_behaviour=tags.layout is TagLayout.SUFFIX,
        src_lang=lang,
        model_max_length=min(model.max_positions()),
    )
