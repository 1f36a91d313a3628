"""The decoder reads each row's language from its first token, in full and in steps."""

import pytest
import torch
from fairseq.models.transformer import TransformerDecoderBase

from laft_fairseq.errors import LaftError
from laft_fairseq.models.laft_mbart import LAFTMBart
from tests import tiny

SOURCE = tiny.rows(["\u2581w1 c1 </s> [en_XX]", "一 二 三 </s> [zh_CN]", "\u2581w7 </s> [fr_XX]"])
PREVIOUS = tiny.rows(
    ["[en_XX] \u2581w1 c1 \u2581w2", "[zh_CN] 一 二", "[fr_XX] \u2581w7"], left=False
)


def scrambled() -> LAFTMBart:
    built = tiny.model()
    tiny.scramble(built)
    return built


@torch.no_grad()
def test_a_mixed_batch_gives_what_its_rows_give_alone() -> None:
    built = scrambled()
    logits, _ = built(SOURCE, None, PREVIOUS)
    for row in range(3):
        length = int(PREVIOUS[row].ne(1).sum())
        source = SOURCE[row][SOURCE[row].ne(1)][None]
        alone, _ = built(source, None, PREVIOUS[row : row + 1, :length])
        torch.testing.assert_close(logits[row, :length], alone[0], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_step_by_step_gives_what_the_whole_gives() -> None:
    built = scrambled()
    whole, _ = built(SOURCE, None, PREVIOUS)
    encoder_out = built.encoder(SOURCE)
    state: dict = {}
    for step in range(PREVIOUS.size(1)):
        prefix = PREVIOUS[:, : step + 1]
        logits, _ = built.decoder(prefix, encoder_out=encoder_out, incremental_state=state)
        rows = PREVIOUS[:, step].ne(1)
        torch.testing.assert_close(logits[rows, 0], whole[rows, step], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_own_loop_is_fairseqs_bit_for_bit() -> None:
    built = tiny.model(method="mbart_full")
    tiny.scramble(built)
    encoder_out = built.encoder(SOURCE)
    stock = TransformerDecoderBase.extract_features_scriptable
    expected, _ = stock(built.decoder, PREVIOUS, encoder_out)
    found, _ = built.decoder.extract_features(PREVIOUS, encoder_out)
    real = PREVIOUS.ne(1)
    torch.testing.assert_close(found[real], expected[real], rtol=1e-5, atol=1e-5)
    logits = built.decoder.output_layer(found)
    product = found @ built.decoder.output_projection.weight.t()
    torch.testing.assert_close(logits, product, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_each_language_has_its_own_adapter() -> None:
    built = scrambled()
    before, _ = built(SOURCE, None, PREVIOUS)
    tiny.scramble(built.decoder.layers[1].language_adapter["zh_CN"], seed=9)
    after, _ = built(SOURCE, None, PREVIOUS)
    assert [torch.equal(before[row], after[row]) for row in range(3)] == [True, False, True]


def test_a_language_without_an_adapter() -> None:
    built = tiny.model(adapters=("en_XX", "fr_XX"))
    with pytest.raises(LaftError, match=r"zh_CN.*en_XX, fr_XX.*--train-langs"):
        built(SOURCE, None, PREVIOUS)
    built.add_adapter("zh_CN")
    assert built.decoder.adapter_tags() == ["en_XX", "fr_XX", "zh_CN"]
    built(SOURCE, None, PREVIOUS)


def test_only_laft_has_adapters() -> None:
    built = tiny.model(method="mbart_full")
    assert built.decoder.adapter_tags() == []
    assert not any("language_adapter" in name for name in built.state_dict())
