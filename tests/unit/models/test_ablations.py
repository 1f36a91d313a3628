"""Controls for the mechanism: the mean vector, the masked tag, no adapters, other components."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from laft_fairseq.components import ablations as component_ablations
from laft_fairseq.components import file as components_file
from laft_fairseq.errors import LaftError
from laft_fairseq.method.language_components import ComponentStatistics
from laft_fairseq.models.laft_mbart import LAFTMBart
from tests import tiny

TEXTS = ("\u2581w1 c1 <mask> </s> [en_XX]", "一 三 </s> [zh_CN]", "</s> [fr_XX]")
SOURCE = tiny.rows(TEXTS)  # the third text is empty
PREVIOUS = tiny.rows(["[en_XX] \u2581w1", "[zh_CN] 一", "[fr_XX] c1"], left=False)


def sentences(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(40, tiny.D)) * np.geomspace(3, 0.1, tiny.D) + rng.normal(size=tiny.D)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """True components, the masked tag's, and an ablation of each kind."""
    home = tmp_path_factory.mktemp("components")
    statistics = {}
    for seed, tag in enumerate(tiny.TAGS):
        statistics[tag] = ComponentStatistics.zeros(tiny.D)
        statistics[tag].update(torch.tensor(sentences(seed)))
    components_file.save(home / "true", statistics, tiny.K, "")
    components_file.save(home / "masked", statistics, tiny.K, "", mask_source_tag=True)
    for kind in component_ablations.KINDS:
        component_ablations.make(home / "true", home / kind, kind, None, 1)
    return home


def with_file(path: Path, **options: Any) -> LAFTMBart:
    built = tiny.scrambled(components=False, language_components=str(path), **options)
    built.load_components(str(path), tiny.TAGS)
    return built


@torch.no_grad()
def test_the_mean_vector_is_what_is_removed(files: Path) -> None:
    built = with_file(files / "true", removal="mean")
    out = built.encoder.forward_backbone(SOURCE)
    actual = built.encoder.representations(SOURCE, out)
    means = np.stack([sentences(0).mean(0), sentences(2).mean(0), np.zeros(tiny.D)])
    np.testing.assert_allclose(tiny.numpy(actual.s_L), means, atol=1e-5)
    np.testing.assert_allclose(tiny.numpy(actual.r), tiny.numpy(actual.e) - means[None], atol=1e-5)
    assert tiny.header_of(built.state_dict()).removal == "mean"


@torch.no_grad()
@pytest.mark.parametrize("scaling", component_ablations.MATCHED)
def test_a_random_subspace_is_used_with_its_gain(files: Path, scaling: str) -> None:
    built = with_file(files / "random-subspace", removal=scaling)
    file = components_file.load(files / "random-subspace")
    out = built.encoder.forward_backbone(SOURCE)
    actual = built.encoder.representations(SOURCE, out)
    e_l = tiny.numpy(out["encoder_out"][0])[:3, 0].mean(0)  # en_XX: three tokens, then </s>, tag
    c, gain = tiny.numpy(file.select("en_XX").components), file.select("en_XX").gains[scaling]
    expected = gain * c @ c.T @ e_l / (np.linalg.norm(e_l) if scaling == "scaled" else 1)
    np.testing.assert_allclose(tiny.numpy(actual.s_L)[0], expected, atol=1e-5)


def test_a_control_is_logged_and_recorded(files: Path, caplog: pytest.LogCaptureFixture) -> None:
    built = with_file(files / "other-language")
    words = "other-language, en_XX has fr_XX's, fr_XX has zh_CN's, zh_CN has en_XX's"
    assert f"{files / 'other-language'}: an ablation: {words}" in caplog.text
    state = built.state_dict()
    assert tiny.header_of(state).control == words
    bare = tiny.model(components=False)
    bare.load_state_dict(dict(state), strict=True)
    assert tiny.header_of(bare.state_dict()).control == words
    with pytest.raises(LaftError, match=rf"trained with {words}, but .* gives true ones"):
        with_file(files / "true").load_state_dict(dict(state), strict=True)
    with pytest.raises(LaftError, match=r"an ablation .* which --removal mean does not use"):
        with_file(files / "random-subspace", removal="mean")


@torch.no_grad()
def test_the_masked_tag() -> None:
    """The encoder sees <mask> at the tag's place; removal still knows the language."""
    masked, plain = tiny.scrambled(mask_source_tag=True), tiny.scrambled()
    source = SOURCE.clone()
    for row, place in ((0, 4), (1, 4), (2, 4)):
        source[row, place] = tiny.ids("<mask>")[0]
    seen = masked.encoder.forward_backbone(SOURCE)["encoder_out"][0]
    assert torch.equal(seen, plain.encoder.forward_backbone(source)["encoder_out"][0])
    assert not torch.equal(seen, plain.encoder.forward_backbone(SOURCE)["encoder_out"][0])
    s_l = masked.encoder.representations(SOURCE, masked.encoder.forward_backbone(SOURCE)).s_L
    c = tiny.numpy(masked.encoder.language_components["zh_CN"].components)
    e_l = tiny.numpy(seen)[1:3, 1].mean(0)  # after the padding
    np.testing.assert_allclose(tiny.numpy(s_l)[1], c @ c.T @ e_l / np.linalg.norm(e_l), atol=1e-5)


@pytest.mark.parametrize("masked", [True, False])
def test_masked_and_shown_tags_do_not_mix(files: Path, masked: bool) -> None:
    file, own, other = ("true", "without", "with") if masked else ("masked", "with", "without")
    with pytest.raises(LaftError, match=rf"{file}: estimated {own} --mask-.*used {other} it; run"):
        with_file(files / file, mask_source_tag=masked)
    trained = tiny.model(mask_source_tag=masked).state_dict()
    with pytest.raises(LaftError, match=f"trained {other} --mask-source-tag; do the same"):
        tiny.model(mask_source_tag=not masked).load_state_dict(trained, strict=True)


@torch.no_grad()
def test_the_task_module_alone() -> None:
    """No removal, no fusion, no adapters: bit for bit the backbone before training."""
    alone = {"removal": "none", "fusion_input": "none", "language_adapter_dim": 0}
    built, plain = tiny.model(**alone), tiny.model(method="mbart_full")
    added = {name.split(".")[1] for name, _ in built.named_parameters()} - {
        name.split(".")[1] for name, _ in plain.named_parameters()
    }
    assert added == {"task_module"}
    assert not any("language_adapter" in name for name, _ in built.named_parameters())
    assert built.decoder.adapter_tags() == []
    for name, parameter in plain.named_parameters():
        parameter.copy_(built.get_parameter(name))
    logits = built(SOURCE, None, PREVIOUS)[0]
    assert torch.equal(logits, plain(SOURCE, None, PREVIOUS)[0])


@pytest.mark.parametrize(
    ("trained", "given"),
    [
        ({"fusion_input": "mean"}, {}),
        ({}, {"adapter_norm": "outside"}),
        ({}, {"fusion_input": "none"}),
    ],
)
def test_choices_that_no_shape_shows_do_not_mix(
    trained: dict[str, str], given: dict[str, str]
) -> None:
    state = tiny.model(**trained).state_dict()
    tiny.model(**trained).load_state_dict(dict(state), strict=True)
    option = next(iter(trained or given)).replace("_", "-")
    with pytest.raises(LaftError, match=rf"trained with --{option} \w+, not \w+$"):
        tiny.model(**given).load_state_dict(state, strict=True)


def test_no_adapters_and_adapters_do_not_mix() -> None:
    none = {"language_adapter_dim": 0}
    with pytest.raises(
        LaftError, match=r"holds language adapters, which .* --language-adapter-dim 0"
    ):
        tiny.model(**none).load_state_dict(tiny.model().state_dict(), strict=True)
    with pytest.raises(
        LaftError, match=r"holds no language adapters; give --language-adapter-dim 0"
    ):
        tiny.model().load_state_dict(tiny.model(**none).state_dict(), strict=True)


@pytest.mark.parametrize("method", ["mbart_full", "mbart_enc_top2", "adapter", "tm_adv_frozen"])
def test_a_row_without_a_removal_goes_on_whatever_is_asked(method: str) -> None:
    """The option has no effect there, and the log names it."""
    state = tiny.model(method=method, removal="scaled").state_dict()
    again = tiny.model(method=method, removal="projection")
    again.load_state_dict(state, model_cfg=again.args)
    assert tiny.header_of(again.state_dict()).removal == "none"
