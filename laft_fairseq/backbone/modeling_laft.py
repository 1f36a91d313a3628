"""LAFT (Wu, Zheng, Zhou, Yu, INLG 2022), and baselines with added parts, on transformers' mBART.

M2M-100 and NLLB-200 are an mBART with sinusoidal positions and no layer norm of the embedding.

This file lies beside the weights and needs torch and transformers alone.

e    (B, T, d)  output of mBART's encoder
e_L  (B, d)     mean of e over the text's own tokens
c_L  (d, k)     language components, estimated beforehand
s_L  (B, d)     what is subtracted, c_L c_Lᵀ e_L / ‖e_L‖₂
r    (B, T, d)  language-agnostic, r^i = e^i - s_L
h    (B, T, d)  TM(r), the task module: mBART encoder layers
B    (B, T, d)  fusion, U(ReLU(D[h; s_L])) + h

After each decoder layer stands the adapter of the language to be written. TM + adv has no removal
and no fusion, but a gate on h and e; the baseline Adapter has a task adapter after each layer.

A text's language is the tag in ``input_ids``, which the tokenizer's ``src_lang`` puts there. The
language to write is the tag that the decoder's input begins with: ``decoder_start_token_id``, or,
in mBART-50's layout, ``forced_bos_token_id``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import MBartConfig, MBartForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.m2m_100.modeling_m2m_100 import M2M100SinusoidalPositionalEmbedding
from transformers.models.mbart.modeling_mbart import (
    MBartDecoder,
    MBartEncoder,
    MBartEncoderLayer,
    MBartModel,
    shift_tokens_right,
)


class LaftConfig(MBartConfig):
    """mBART's configuration and the added parts; a part whose size is 0 is left out."""

    model_type = "laft_mbart"
    language_ids: Any = None  # by language, the token of its tag
    tag_layout: str = "suffix"  # X </s> [l]; or prefix, [l] X </s>
    sinusoidal_positions: bool = False  # as M2M-100
    mask_source_tag: bool = False  # the encoder sees <mask> in place of the source's tag
    mask_token_id: int = 0
    task_module_layers: int = 0
    gate: bool = False  # of TM + adv
    removal: str = "none"  # scaled, as above; projection, without ‖e_L‖₂; mean, the mean e_L; none
    num_components: int = 0  # k
    component_languages: list[str] | tuple[str, ...] = ()  # those that can be read
    fusion_dim: int = 0
    fusion_input: str = "subtracted"  # s_L; or mean, the language's mean s_L
    language_adapter_dim: int = 0
    adapter_languages: list[str] | tuple[str, ...] = ()  # those that can be written
    adapter_norm: str = "inside"  # or outside, none: where an adapter's layer norm stands
    task_adapter_dim: int = 0


class Fusion(nn.Module):
    """B(h, c_L) = U(ReLU(D[h; s_L])) + h (section 3.2)."""

    def __init__(self, d: int, dim: int) -> None:
        super().__init__()
        self.down = nn.Linear(2 * d, dim)
        self.up = nn.Linear(dim, d)

    def forward(self, h: Tensor, s_L: Tensor) -> Tensor:
        """Return (B, T, d) for h (B, T, d) and s_L (B, d)."""
        s_L = s_L.to(h.dtype).unsqueeze(1).expand_as(h)  # (B, T, d)
        return self.up(F.relu(self.down(torch.cat([h, s_L], dim=-1)))) + h


class Gate(nn.Module):
    """g = αh + (1 − α)e with α = sigmoid(W_g[h; e] + b_g), a scalar a token (TM + adv)."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * d, 1)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        """Return (B, T, d) for h and e, (B, T, d) each."""
        alpha = torch.sigmoid(self.linear(torch.cat([h, e], dim=-1)))  # (B, T, 1)
        return e + alpha * (h - e)


class Adapter(nn.Module):
    """F(z) = U ReLU(D z) with a residual connection; a layer norm on F(z), on the sum, or none."""

    def __init__(self, d: int, dim: int, norm: str = "none") -> None:
        super().__init__()
        self.norm = norm
        self.down = nn.Linear(d, dim)
        self.up = nn.Linear(dim, d)
        self.layer_norm = nn.LayerNorm(d) if norm != "none" else nn.Identity()

    def forward(self, z: Tensor) -> Tensor:
        """Return (n, T, d) for z (n, T, d)."""
        x = self.up(F.relu(self.down(z)))  # (n, T, d)
        return self.layer_norm(z + x) if self.norm == "outside" else z + self.layer_norm(x)


class SinusoidalPositions(M2M100SinusoidalPositionalEmbedding):
    """M2M-100's positions in mBART's place."""

    def forward(
        self, input_ids: Tensor, past_key_values_length: int = 0, position_ids: Any = None
    ) -> Tensor:
        """Return (B, T, d) for (B, T) tokens, of which ``past_key_values_length`` came before."""
        return super().forward(input_ids, None, past_key_values_length)


@dataclass
class LaftEncoderOutput(BaseModelOutput):
    """mBART's encoder output, with the (B,) tags of the languages to write."""

    output_tag: Tensor | None = None


class LaftEncoder(MBartEncoder):
    """mBART's encoder, then e -> r -> h -> B(h, c_L) (section 3)."""

    components: Tensor  # (languages, d, k), c_L
    mean_removed: Tensor  # (languages, d), mean s_L

    def __init__(self, config: LaftConfig, embed_tokens: nn.Embedding | None = None) -> None:
        super().__init__(config, embed_tokens)
        d = config.d_model
        adapt_stack(self, config)
        self.task_module = nn.ModuleList(
            MBartEncoderLayer(config) for _ in range(config.task_module_layers)
        )
        self.gate = Gate(d) if config.gate else None
        self.fusion = Fusion(d, config.fusion_dim) if config.fusion_dim else None
        if config.removal != "none":
            languages = len(config.component_languages)
            self.register_buffer("components", torch.zeros(languages, d, config.num_components))
            self.register_buffer("mean_removed", torch.zeros(languages, d))

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        output_tag: Tensor | None = None,
        **kwargs: Any,
    ) -> LaftEncoderOutput:
        """Return what the decoder attends to, (B, T, d), for (B, T) tokens.

        ``output_tag`` (B,) are the tags of the languages to write, by default the texts' own.
        """
        tags = input_ids.new_tensor(list(self.config.language_ids.values()))
        seen = input_ids
        if self.config.mask_source_tag:
            seen = seen.masked_fill(torch.isin(seen, tags), self.config.mask_token_id)
        kwargs["return_dict"] = True
        out = super().forward(input_ids=seen, attention_mask=attention_mask, **kwargs)
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        mask = attention_mask.bool()  # (B, T), False at padding
        tag = self.tag_of(input_ids, mask)  # (B,)
        output_tag = tag if output_tag is None else output_tag
        e = out.last_hidden_state  # (B, T, d)
        if self.task_module:
            special = [self.config.bos_token_id, self.config.pad_token_id, self.config.eos_token_id]
            outside = torch.isin(input_ids, torch.cat([tags, tags.new_tensor(special)])) | ~mask
            e = self.represent(e, mask, ~outside, tag, output_tag)
        return LaftEncoderOutput(
            last_hidden_state=e,
            hidden_states=out.hidden_states,
            attentions=out.attentions,
            output_tag=output_tag,
        )

    def tag_of(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return the (B,) tags of (B, T) tokens: the last that are no padding, or the first."""
        positions = torch.arange(1, tokens.size(1) + 1, device=tokens.device)  # (T,)
        if self.config.tag_layout == "prefix":
            positions = positions.flip(0)
        return tokens.gather(1, (mask * positions).argmax(1, keepdim=True)).squeeze(1)

    def represent(
        self, e: Tensor, mask: Tensor, text_mask: Tensor, tag: Tensor, output_tag: Tensor
    ) -> Tensor:
        """Return B(h, c_L), (B, T, d), or what stands for it in TM + adv (section 3).

        Args:
            e: (B, T, d) output of mBART's encoder.
            mask: (B, T) bool, False at padding.
            text_mask: (B, T) bool, True at the text's own tokens.
            tag, output_tag: (B,) tags of the languages to read and to write.
        """
        s_L = self.subtracted(e, text_mask, tag)  # (B, d), fp32
        h = (e - s_L.unsqueeze(1)).to(e.dtype)  # (B, T, d), r
        bias = torch.zeros_like(mask, dtype=e.dtype).masked_fill(~mask, torch.finfo(e.dtype).min)
        for layer in self.task_module:
            h = layer(h, bias[:, None, None], layer_head_mask=None)[0]
        if self.gate is not None:
            return self.gate(h, e)
        if self.fusion is None:
            return h
        if self.config.removal != "none":
            mean = self.of_languages(self.mean_removed, output_tag)  # (B, d)
            own = tag.eq(output_tag).unsqueeze(1)  # (B, 1)
            s_L = mean if self.config.fusion_input == "mean" else torch.where(own, s_L, mean)
        return self.fusion(h, s_L)

    def subtracted(self, e: Tensor, text_mask: Tensor, tag: Tensor) -> Tensor:
        """Return s_L, (B, d) in fp32; zeros where nothing is removed (section 3.1)."""
        outside = ~text_mask.unsqueeze(-1)  # (B, T, 1)
        total = e.float().masked_fill(outside, 0).sum(1)  # (B, d)
        e_L = total / text_mask.sum(1, keepdim=True).clamp(min=1)  # (B, d)
        if self.config.removal == "none":
            return torch.zeros_like(e_L)
        if self.config.removal == "mean":
            return self.of_languages(self.mean_removed, tag) * e_L.ne(0).any(1, keepdim=True)
        if self.config.removal == "scaled":
            norm = torch.linalg.vector_norm(e_L, dim=1, keepdim=True)  # (B, 1)
            e_L = e_L / torch.where(norm > 0, norm, torch.ones_like(norm))
        c_L = self.of_languages(self.components, tag)  # (B, d, k)
        return ((e_L.unsqueeze(1) @ c_L) @ c_L.transpose(1, 2)).squeeze(1)  # (B, d)

    def of_languages(self, values: Tensor, tag: Tensor) -> Tensor:
        """Return those of (languages, ...) ``values`` that belong to (B,) tags, in fp32."""
        return values.float()[places(tag, self.config.component_languages, self.config)]


class LaftDecoder(MBartDecoder):
    """mBART's decoder, with adapters after each layer (section 3.2)."""

    def __init__(self, config: LaftConfig, embed_tokens: nn.Embedding | None = None) -> None:
        super().__init__(config, embed_tokens)
        adapt_stack(self, config)
        if config.language_adapter_dim:
            shape = config.d_model, config.language_adapter_dim, config.adapter_norm
            for layer in self.layers:
                layer.language_adapter = nn.ModuleDict(
                    {tag: Adapter(*shape) for tag in config.adapter_languages}
                )

    @contextlib.contextmanager
    def writing(self, output_tag: Tensor) -> Iterator[None]:
        """Let each of B rows pass its own language's adapters, (B,) tags, within the context."""
        if not self.config.language_adapter_dim:
            yield
            return
        languages = places(output_tag, self.config.adapter_languages, self.config)  # (B,)

        def adapt(layer: Any, _: Any, output: Any) -> Any:
            z = output[0]  # (B, T, d)
            adapted = torch.empty_like(z)
            for place, adapter in enumerate(layer.language_adapter.values()):
                rows = languages.eq(place)
                if rows.any():
                    adapted[rows] = adapter(z[rows])
            return (adapted, *output[1:])

        hooks = [layer.register_forward_hook(adapt) for layer in self.layers]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


class LaftModel(MBartModel):
    """LAFT's encoder and decoder."""

    def __init__(self, config: LaftConfig) -> None:
        super().__init__(config)
        self.encoder = LaftEncoder(config, self.shared)
        self.decoder = LaftDecoder(config, self.shared)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        encoder_outputs: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Return mBART's output; the decoder's input, or ``encoder_outputs``, has the language."""
        if encoder_outputs is None:
            if decoder_input_ids is None:
                decoder_input_ids = shift_tokens_right(input_ids, self.config.pad_token_id)
            names = ("output_attentions", "output_hidden_states")
            wanted = {name: kwargs[name] for name in names if name in kwargs}
            tag = decoder_input_ids[:, place_of_tag(self.config)]  # (B,)
            encoder_outputs = self.encoder(input_ids, attention_mask, tag, **wanted)
        with self.decoder.writing(encoder_outputs.output_tag):
            return super().forward(
                attention_mask=attention_mask,
                decoder_input_ids=decoder_input_ids,
                encoder_outputs=encoder_outputs,
                **kwargs,
            )


class LaftForConditionalGeneration(MBartForConditionalGeneration):
    """LAFT with mBART's language-modelling head."""

    config_class = LaftConfig
    supports_gradient_checkpointing = False  # its second forward pass would lack the adapters

    def __init__(self, config: LaftConfig) -> None:
        super().__init__(config)
        self.model = LaftModel(config)
        self.post_init()

    def _prepare_encoder_decoder_kwargs_for_generation(
        self, inputs_tensor: Tensor, model_kwargs: dict[str, Any], model_input_name: Any,
        generation_config: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """Tell the encoder, which runs once before the search, the language to write."""
        if "decoder_input_ids" in model_kwargs:
            tag = model_kwargs["decoder_input_ids"][:, place_of_tag(self.config)]
        elif self.config.tag_layout == "prefix":
            tag = inputs_tensor.new_tensor(generation_config.forced_bos_token_id or 0)
        else:
            tag = generation_config._decoder_start_token_tensor
        tag = tag.to(inputs_tensor.device).expand(len(inputs_tensor))  # (B,)
        places(tag, list(self.config.language_ids), self.config)  # refuses what is no tag
        prepared = super()._prepare_encoder_decoder_kwargs_for_generation(
            inputs_tensor, {**model_kwargs, "output_tag": tag}, model_input_name, generation_config
        )
        del prepared["output_tag"]
        return prepared


def place_of_tag(config: LaftConfig) -> int:
    """Return where the decoder's input has the tag: ``[l] Y``, or ``</s> [l] Y``."""
    return int(config.tag_layout == "prefix")


def places(tag: Tensor, languages: Sequence[str], config: LaftConfig) -> Tensor:
    """Return the places among ``languages`` of (B,) tags.

    Raises:
        ValueError: a tag of another language, or no tag.
    """
    ids = tag.new_tensor([config.language_ids[name] for name in languages])  # (languages,)
    found = tag.unsqueeze(1).eq(ids)  # (B, languages)
    if not found.any(1).all():
        names = {token: name for name, token in config.language_ids.items()}
        other = int(tag[~found.any(1)][0])
        raise ValueError(
            f"token {other} ({names.get(other, 'no language tag')}) stands for the language, but "
            f"this model knows {', '.join(languages)} there; set the tokenizer's src_lang, and "
            "decoder_start_token_id or, where tag_layout is prefix, forced_bos_token_id"
        )
    return found.int().argmax(1)


def adapt_stack(stack: Any, config: LaftConfig) -> None:
    """Give an encoder or a decoder M2M-100's embedding, and a task adapter after each layer."""
    if config.sinusoidal_positions:
        shape = config.max_position_embeddings, config.d_model, config.pad_token_id
        stack.embed_positions = SinusoidalPositions(*shape)
        stack.layernorm_embedding = nn.Identity()
    if not config.task_adapter_dim:
        return

    def adapt(layer: Any, _: Any, output: Any) -> Any:
        return (layer.task_adapter(output[0]), *output[1:])

    for layer in stack.layers:
        layer.task_adapter = Adapter(config.d_model, config.task_adapter_dim)
        layer.register_forward_hook(adapt)


LaftConfig.register_for_auto_class()
LaftForConditionalGeneration.register_for_auto_class("AutoModelForSeq2SeqLM")
