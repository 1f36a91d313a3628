"""The decoder reads each row's language from its tag, in full and in steps."""

import pytest
import torch
from fairseq.models.transformer import TransformerDecoderBase
from torch import Tensor

from laft_fairseq.errors import LaftError
from tests import tiny

TEXTS = ("\u2581w1 c1 </s> [en_XX]", "一 二 三 </s> [zh_CN]", "\u2581w7 </s> [fr_XX]")
WRITTEN = ("[en_XX] \u2581w1 c1 \u2581w2", "[zh_CN] 一 二", "[fr_XX] \u2581w7")
SOURCE, PREVIOUS = tiny.rows(TEXTS), tiny.rows(WRITTEN, left=False)
LAYOUTS = pytest.mark.parametrize("layout", ["suffix", "prefix"])


def batch(layout: str) -> tuple[Tensor, Tensor]:
    """Source and decoder input of the texts in the tag layout."""
    previous = tiny.rows(tiny.decoder_inputs(WRITTEN, layout), left=False)
    return tiny.rows(tiny.laid_out(TEXTS, layout)), previous


@LAYOUTS
@torch.no_grad()
def test_a_mixed_batch_gives_what_its_rows_give_alone(layout: str) -> None:
    built, (sources, previous) = tiny.scrambled(layout=layout), batch(layout)
    logits, _ = built(sources, None, previous)
    for row in range(3):
        length = int(previous[row].ne(1).sum())
        source = sources[row][sources[row].ne(1)][None]
        alone, _ = built(source, None, previous[row : row + 1, :length])
        torch.testing.assert_close(logits[row, :length], alone[0], rtol=1e-4, atol=1e-4)


@LAYOUTS
@torch.no_grad()
def test_step_by_step_gives_what_the_whole_gives(layout: str) -> None:
    """A search has the tag first in both layouts; `</s>` before it is the decoder's affair."""
    built, (source, previous) = tiny.scrambled(layout=layout), batch(layout)
    lead = previous.size(1) - PREVIOUS.size(1)
    whole, _ = built(source, None, previous)
    encoder_out = built.encoder(source)
    state: dict = {}
    for step in range(PREVIOUS.size(1)):
        prefix = PREVIOUS[:, : step + 1]
        logits, _ = built.decoder(prefix, encoder_out=encoder_out, incremental_state=state)
        assert logits.shape[:2] == (3, 1)
        rows = PREVIOUS[:, step].ne(1)
        torch.testing.assert_close(logits[rows, 0], whole[rows, lead + step], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_own_loop_is_fairseqs_bit_for_bit() -> None:
    built = tiny.scrambled(method="mbart_full")
    encoder_out = built.encoder(SOURCE)
    stock = TransformerDecoderBase.extract_features_scriptable
    expected, _ = stock(built.decoder, PREVIOUS, encoder_out)
    actual, _ = built.decoder.extract_features(PREVIOUS, encoder_out)
    real = PREVIOUS.ne(1)
    torch.testing.assert_close(actual[real], expected[real], rtol=1e-5, atol=1e-5)
    logits = built.decoder.output_layer(actual)
    product = actual @ built.decoder.output_projection.weight.t()
    torch.testing.assert_close(logits, product, rtol=1e-5, atol=1e-5)


@LAYOUTS
@torch.no_grad()
def test_each_language_has_its_own_adapter(layout: str) -> None:
    built, (source, previous) = tiny.scrambled(layout=layout), batch(layout)
    before, _ = built(source, None, previous)
    tiny.scramble(built.decoder.layers[1].language_adapter["zh_CN"], seed=9)
    after, _ = built(source, None, previous)
    assert [torch.equal(before[row], after[row]) for row in range(3)] == [True, False, True]


def test_a_language_without_an_adapter() -> None:
    built = tiny.model(adapters=("en_XX", "fr_XX"))
    with pytest.raises(LaftError, match=r"zh_CN.*en_XX, fr_XX.*--train-langs"):
        built(SOURCE, None, PREVIOUS)
    built.add_adapter("zh_CN")
    assert built.decoder.adapter_tags() == ["en_XX", "fr_XX", "zh_CN"]
    built(SOURCE, None, PREVIOUS)


@pytest.mark.parametrize("method", ["laft", "adapter"])
def test_adapters_get_contiguous_inputs(method: str) -> None:
    """Over another layout torch copies a layer's weights for each position: a quarter of a step."""
    built = tiny.model(method=method)
    seen = []
    for name, module in built.named_modules():
        if name.endswith(("_adapter", "fusion.up", "task_module")):
            module.register_forward_pre_hook(
                lambda module, inputs: seen.append(inputs[0].is_contiguous())
            )
    built(SOURCE, None, PREVIOUS)
    assert seen and all(seen)


def test_an_update_that_drops_every_layer_still_has_a_gradient() -> None:
    """What LAFT trains is read through the decoder's layers; no layer, no gradient."""
    built = tiny.scrambled("denoising", decoder_layerdrop=1.0, method="laft").train()
    logits, _ = built(SOURCE, None, PREVIOUS)
    logits.sum().backward()
    gradient = built.encoder.task_module[0].fc1.weight.grad
    assert gradient is not None and gradient.any()
