"""A model with languages that its backbone never saw: rows, logits, what trains, checkpoints."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.errors import LaftError
from laft_fairseq.method.systems import METHODS
from laft_fairseq.models.laft_mbart import LAFTMBart
from tests import tiny

OLD, NEW = ("en_XX", "fr_XX"), ("zh_CN", "eo_XX")
ROWS = [f"{side}.new_tag_rows.{tag}" for side in ("encoder", "decoder") for tag in NEW]
EN, ZH = 39, 42  # ids of [en_XX] and [zh_CN]
SOURCE = torch.tensor([[4, 16, 2, EN], [28, 29, 2, EN]])
PREVIOUS = torch.tensor([[EN, 4, 16], [EN, 28, 30]])


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole mBART of two languages."""
    return tiny.write_backbone(tmp_path_factory.mktemp("backbone"), OLD)


def on(
    backbone: Path, new: tuple[str, ...] = NEW, method: str = "mbart_full", **options: Any
) -> LAFTMBart:
    """A model of two languages and the new ones that stands on the backbone."""
    options = {"tags": OLD, "new": new, "components": False, "method": method, **options}
    built = tiny.model(backbone=str(backbone), **options)
    built.load_backbone(backbones.read(str(backbone)))
    return built


@torch.no_grad()
def logits(built: LAFTMBart, source: Tensor = SOURCE, previous: Tensor = PREVIOUS) -> Tensor:
    return built(source, None, previous)[0]


def test_the_rows_begin_as_the_mean_of_the_backbones_tags(backbone: Path) -> None:
    built = on(backbone)
    table = backbones.read(str(backbone)).state["encoder.embed_tokens.weight"]
    assert table.size(0) == 42
    assert torch.equal(tiny.tensors_of(built)["encoder.embed_tokens.weight"], table)
    expected = tiny.numpy(table)[[39, 40]].mean(0)
    for name in ROWS:
        np.testing.assert_allclose(tiny.numpy(tiny.tensors_of(built)[name]), expected, rtol=1e-6)


@pytest.mark.parametrize("method", ["mbart_full", "laft"])
def test_what_the_backbone_knows_stays_bit_for_bit(backbone: Path, method: str) -> None:
    """Logits of its entries, for its languages; a new tag's are its row times the features."""
    plain = on(backbone, new=(), method=method, removal="none")
    extended = on(backbone, method=method, removal="none")
    for n, name in enumerate(ROWS):
        tiny.tensors_of(extended)[name].copy_(torch.linspace(-n, 1, tiny.D))
    actual = logits(extended)
    assert actual.shape == (2, 3, 44)
    assert torch.equal(actual[..., :42], logits(plain))
    with torch.no_grad():
        features, _ = extended(SOURCE, None, PREVIOUS, features_only=True)
    rows = np.stack([np.linspace(-n, 1, tiny.D) for n in (2, 3)])  # the decoder's
    np.testing.assert_allclose(
        tiny.numpy(actual[..., 42:]), tiny.numpy(features) @ rows.T, atol=1e-5
    )


@pytest.mark.parametrize("layout", ["suffix", "prefix"])
def test_a_new_tag_reads_as_its_row(backbone: Path, layout: str) -> None:
    """With the row of a tag that the backbone knows, the model says what it says of that tag."""
    extended = tiny.scrambled(tags=OLD, new=NEW, layout=layout, method="mbart_full")
    for side in ("encoder", "decoder"):
        table = tiny.tensors_of(extended)["encoder.embed_tokens.weight"]
        tiny.tensors_of(extended)[f"{side}.new_tag_rows.zh_CN"].copy_(table[EN])
    known = [SOURCE, PREVIOUS]
    if layout == "prefix":  # [l] X </s>, and </s> [l] X
        known = [SOURCE.roll(1, 1), torch.cat([torch.full((2, 1), 2), PREVIOUS], 1)]
    as_new = [torch.where(tokens == EN, ZH, tokens) for tokens in known]
    actual, expected = logits(extended, *as_new), logits(extended, *known)
    assert torch.equal(actual[..., :42], expected[..., :42])
    torch.testing.assert_close(actual[..., ZH], expected[..., EN])
    assert extended.encoder.language_tags.of_source(as_new[0]).tolist() == [2, 2]


BOTH = {"encoder.new_tag_rows.zh_CN", "encoder.new_tag_rows.eo_XX",
        "decoder.new_tag_rows.zh_CN", "decoder.new_tag_rows.eo_XX"}  # fmt: skip
DECODERS = {"decoder.new_tag_rows.zh_CN", "decoder.new_tag_rows.eo_XX"}
TRAINED = {  # by system: in stage 1, in stage 2
    "laft": (DECODERS, set()),
    "mbart_full": (BOTH, BOTH),
    "mbart_enc": (DECODERS, set()),
    "mbart_enc_top2": (DECODERS, set()),
    "adapter": (DECODERS, set()),
    "lora": (DECODERS, set()),
    "tm_adv": (BOTH, BOTH),
    "tm_adv_frozen": (DECODERS, set()),
    "mbart_attn_qk": (DECODERS, set()),
}


@pytest.mark.parametrize("method", list(METHODS))
def test_what_each_stage_trains(method: str) -> None:
    for stage, expected in zip(("denoising", "generation"), TRAINED[method], strict=True):
        built = tiny.model(stage, tags=OLD, new=NEW, method=method, components=False)
        actual = {name: p.requires_grad for name, p in built.named_parameters()}
        assert {name for name in actual if "new_tag" in name} == BOTH
        assert {name for name in actual if "new_tag" in name and actual[name]} == expected
        assert actual["encoder.embed_tokens.weight"] == (expected == BOTH)
        assert built.encoder.frozen == (method in ("laft", "tm_adv_frozen"))


def test_a_slim_state_holds_the_new_rows_alone(backbone: Path, tmp_path: Path) -> None:
    trained = on(backbone, method="laft", removal="none")
    tiny.scramble(trained.decoder.new_tag_rows)
    state = trained.state_dict()
    assert set(ROWS) <= set(state)
    assert not {name for name in state if "embed_tokens" in name or "output_projection" in name}
    header = tiny.header_of(state)
    assert (header.langs, header.new_langs) == (["en_XX", "fr_XX"], ["zh_CN", "eo_XX"])
    bare = tiny.model(tags=OLD, new=NEW, components=False, adapters=(), removal="none",
                      backbone=str(backbone))  # fmt: skip
    bare.load_state_dict(dict(state), strict=True)
    assert all(
        torch.equal(tiny.tensors_of(bare)[name], tensor)
        for name, tensor in tiny.tensors_of(trained).items()
    )
    whole = tiny.model(tags=OLD, new=NEW, components=False, adapters=(), removal="none")
    whole.load_state_dict(tiny.whole_state_dict(trained), strict=True)
    assert torch.equal(logits(whole), logits(trained))


@pytest.mark.parametrize(
    ("new", "message"), [(("eo_XX", "zh_CN"), "eo_XX,zh_CN"), (("zh_CN",), "zh_CN"), ((), "none")]
)
def test_another_list_of_new_languages_is_refused(
    backbone: Path, new: tuple[str, ...], message: str
) -> None:
    state = on(backbone).state_dict()
    message = f"zh_CN,eo_XX, .*new-langs.txt says {message};"
    with pytest.raises(LaftError, match=message):
        tiny.model(tags=OLD, new=new, method="mbart_full").load_state_dict(dict(state))


def test_a_language_may_be_added_to_a_checkpoint(
    backbone: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After those that it has; its tag begins like any new one, and a line says so."""
    first = on(backbone, new=("zh_CN",), method="laft", removal="none")
    tiny.scramble(first.decoder.new_tag_rows)
    second = tiny.model(tags=OLD, new=NEW, components=False, removal="none", backbone=str(backbone))
    with caplog.at_level(logging.WARNING):
        second.load_state_dict(first.state_dict(), strict=True)
    assert [r.getMessage() for r in caplog.records] == [
        "checkpoint: knows no eo_XX; its tag is untrained"
    ]
    name = "decoder.new_tag_rows.zh_CN"
    assert torch.equal(tiny.tensors_of(second)[name], tiny.tensors_of(first)[name])
    table = tiny.tensors_of(second)["encoder.embed_tokens.weight"]
    torch.testing.assert_close(
        tiny.tensors_of(second)["decoder.new_tag_rows.eo_XX"], table[[39, 40]].mean(0)
    )


def test_a_model_with_new_tags_is_no_backbone(backbone: Path, tmp_path: Path) -> None:
    torch.save({"model": tiny.whole_state_dict(on(backbone))}, tmp_path / "trained.pt")
    with pytest.raises(LaftError, match=r"trained\.pt: holds .*new_tag_rows.*not a plain mBART"):
        backbones.read(str(tmp_path / "trained.pt"))


def test_a_new_language_among_the_backbones_is_told_what_to_do(backbone: Path) -> None:
    built = tiny.model(tags=(*OLD, "zh_CN"), method="mbart_full", components=False)
    with pytest.raises(LaftError, match=r"has 42 embedding rows.* make 43;.* by --new-langs"):
        built.load_backbone(backbones.read(str(backbone)))
