"""Removal, task module and fusion in the encoder, against numpy."""

from typing import Any

import numpy as np
import pytest
import torch

from laft_fairseq.errors import LaftError
from laft_fairseq.models.laft_mbart import LAFTMBart
from tests import tiny

# Two masks count as text; the third text is empty.
TEXTS = (
    "\u2581w1 c1 <mask> \u2581w2 c2 </s> [en_XX]",
    "<mask> 三 </s> [zh_CN]",
    "</s> [fr_XX]",
    "\u2581w7 c7 \u2581w8 </s> [fr_XX]",
)
WORDS = (5, 2, 0, 3)  # text tokens of each
LANGUAGES = ("en_XX", "zh_CN", "fr_XX", "fr_XX")
SOURCE = tiny.rows(TEXTS)  # (4, 7), left-padded


def scrambled(**options: Any) -> LAFTMBart:
    """A laft whose every part does something."""
    built = tiny.model(**options)
    tiny.scramble(built)
    return built


def expected_removal(built: LAFTMBart, e: np.ndarray, scaling: str, after: int = 2) -> np.ndarray:
    """s_L (B, d) from e (T, B, d), a row and a token at a time.

    ``after``: how many tokens follow the text's own: </s>, and the tag if it is last.
    """
    s = np.zeros((len(TEXTS), tiny.D))
    for row, (words, tag) in enumerate(zip(WORDS, LANGUAGES, strict=True)):
        if not words:
            continue
        end = SOURCE.size(1) - after
        e_l = e[end - words : end, row].mean(0)  # (d,)
        c = tiny.numpy(built.encoder.language_components[tag].components)  # (d, k)
        s[row] = c @ (c.T @ e_l)
        if scaling == "scaled":
            s[row] /= np.sqrt((e_l**2).sum())
    return s


@pytest.mark.parametrize(
    ("scaling", "layout", "after"),
    [("scaled", "suffix", 2), ("projection", "suffix", 2), ("scaled", "prefix", 1)],
)
@torch.no_grad()
def test_removal_agrees_with_numpy(scaling: str, layout: str, after: int) -> None:
    built = scrambled(removal=scaling, layout=layout)
    source = tiny.rows(tiny.laid_out(TEXTS, layout))
    out = built.encoder.forward_backbone(source)
    actual = built.encoder.representations(source, out)
    e = tiny.numpy(out["encoder_out"][0])  # (T, B, d)
    s = expected_removal(built, e, scaling, after)
    assert np.abs(s).max() > 0.1
    np.testing.assert_allclose(tiny.numpy(actual.s_L), s, atol=1e-5)
    np.testing.assert_allclose(tiny.numpy(actual.r), e - s[None], atol=1e-5)
    assert not actual.s_L[2].any()  # the empty text


@torch.no_grad()
def test_the_decoder_sees_the_fused_representation() -> None:
    built = scrambled()
    out = built.encoder(SOURCE)["encoder_out"][0]
    plain = built.encoder.forward_backbone(SOURCE)
    actual = built.encoder.representations(SOURCE, plain)
    padding = SOURCE.eq(1)
    assert torch.equal(out, actual.fused)
    assert torch.equal(actual.h, built.encoder.task_module(actual.r, padding))
    assert torch.equal(actual.fused, built.encoder.fusion(actual.h, actual.s_L))


@torch.no_grad()
def test_rows_alone_and_padding_on_either_side_agree() -> None:
    built = scrambled()
    left = built.encoder(SOURCE)["encoder_out"][0]  # (T, B, d)
    right = built.encoder(tiny.rows(TEXTS, left=False))["encoder_out"][0]
    for row, text in enumerate(TEXTS):
        length = len(text.split())
        alone = built.encoder(tiny.rows([text]))["encoder_out"][0][:, 0]  # (length, d)
        torch.testing.assert_close(left[-length:, row], alone, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(right[:length, row], alone, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def fused_with(built: LAFTMBart, output: list[int] | None = None) -> torch.Tensor:
    """(B, d): what the fusion is given, for output languages by index."""
    languages = built.encoder.language_tags.of_source(SOURCE)
    e = built.encoder.forward_backbone(SOURCE)["encoder_out"][0]
    text_mask = built.encoder.language_tags.text_mask(SOURCE)
    s_l = built.encoder.subtracted(e, text_mask, languages)
    target = None if output is None else torch.tensor(output)
    return built.encoder.fusion_vector(s_l, languages, target)


def means(built: LAFTMBart, tags: tuple[str, ...]) -> torch.Tensor:
    held = built.encoder.language_components
    return torch.stack([held[tag].mean_removed for tag in tags])


def test_fusion_input() -> None:
    built = scrambled()
    e = built.encoder.forward_backbone(SOURCE)["encoder_out"][0]
    subtracted = expected_removal(built, tiny.numpy(e), "scaled")
    np.testing.assert_allclose(tiny.numpy(fused_with(built)), subtracted, atol=1e-5)
    mean = scrambled(fusion_input="mean")
    assert torch.equal(fused_with(mean), means(mean, LANGUAGES))
    assert scrambled(fusion_input="none").encoder.fusion is None


def test_another_output_language_brings_its_mean() -> None:
    """Rows that stay in their own language keep what was subtracted from them."""
    built = scrambled()
    in_own_language = fused_with(built)
    actual = fused_with(built, [1, 2, 1, 0])  # en -> fr, zh -> zh, fr -> fr, fr -> en
    assert torch.equal(actual[1:3], in_own_language[1:3])
    assert torch.equal(actual[[0, 3]], means(built, ("fr_XX", "en_XX")))
    mean = scrambled(fusion_input="mean")
    assert torch.equal(
        fused_with(mean, [1, 2, 1, 0]), means(mean, ("fr_XX", "zh_CN", "fr_XX", "en_XX"))
    )


@torch.no_grad()
def test_output_language_reaches_the_decoder_through_forward() -> None:
    built = scrambled()
    previous = tiny.rows(["[fr_XX] \u2581w7"] * len(TEXTS), left=False)
    lengths = SOURCE.ne(1).sum(1)
    in_own_language, _ = built(SOURCE, lengths, previous)
    same, _ = built(SOURCE, lengths, previous, output_language=torch.tensor([0, 2, 1, 1]))
    other, _ = built(SOURCE, lengths, previous, output_language=torch.tensor([1, 1, 1, 1]))
    assert torch.equal(in_own_language, same)
    assert [torch.equal(in_own_language[row], other[row]) for row in range(4)] == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("fusion_input", ["subtracted", "mean"])
def test_missing_components_name_their_language(fusion_input: str) -> None:
    built = tiny.model(fusion_input=fusion_input)
    del built.encoder.language_components["fr_XX"]
    message = r"no language components for fr_XX \(there are: en_XX, zh_CN\)"
    with pytest.raises(LaftError, match=message):
        built.encoder(SOURCE)
    english = tiny.rows(TEXTS[:1])
    built.encoder(english)
    with pytest.raises(LaftError, match=message):
        built.encoder(english, output_language=torch.tensor([1]))


def test_a_frozen_encoder_stays_in_eval() -> None:
    """In training its dropout would come back on; the task module's must."""
    encoder = tiny.model().train().encoder
    training = {name for name, module in encoder.named_children() if module.training}
    training.discard("embed_tokens")  # the decoder's too, and without dropout
    assert training == {"task_module", "fusion"}
    assert all(module.training for module in encoder.task_module.modules())
    first = encoder.forward_backbone(SOURCE)["encoder_out"][0]
    assert torch.equal(first, encoder.forward_backbone(SOURCE)["encoder_out"][0])
    assert not first.requires_grad
    trained = tiny.model(method="mbart_enc").train().encoder
    assert all(module.training for module in trained.modules())
    assert trained.forward_backbone(SOURCE)["encoder_out"][0].requires_grad


@pytest.mark.parametrize("halve", [torch.nn.Module.half, torch.nn.Module.bfloat16])
def test_components_stay_in_fp32(halve: Any) -> None:
    built = halve(tiny.model())
    held = built.encoder.language_components["fr_XX"]
    assert held.components.dtype == held.mean_removed.dtype == torch.float32
    assert built.encoder.fusion.up.weight.dtype == built.encoder.embed_tokens.weight.dtype
    assert built.encoder.embed_tokens.weight.dtype != torch.float32


@torch.no_grad()
def test_removal_is_in_fp32_under_autocast() -> None:
    built = scrambled()
    e = built.encoder.forward_backbone(SOURCE)["encoder_out"][0]
    languages = built.encoder.language_tags.of_source(SOURCE)
    text_mask = built.encoder.language_tags.text_mask(SOURCE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = built.encoder.subtracted(e, text_mask, languages)
    assert torch.equal(actual, built.encoder.subtracted(e, text_mask, languages))


@pytest.mark.parametrize(
    ("options", "path", "reads", "message"),
    [
        ({}, "c.safetensors", True, ""),
        (
            {},
            None,
            False,
            "no --language-components: the checkpoint to start from must contain them",
        ),
        ({"removal": "none"}, "c.safetensors", False, "c.safetensors: not read"),
        ({"method": "tm_adv"}, "c.safetensors", False, "c.safetensors: not read"),
        ({"method": "mbart_full"}, None, False, ""),
    ],
)
def test_components_that_are_not_read_are_said(
    options: dict[str, Any],
    path: str | None,
    reads: bool,
    message: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="laft_fairseq.models.laft_encoder")
    assert tiny.model(**options).encoder.reads_components(path) is reads
    assert message in caplog.text
    assert bool(caplog.text) is bool(message)
