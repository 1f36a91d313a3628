"""What a fresh model is, what training begins with, and what a checkpoint holds."""

import json
import shutil
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints.header import HEADER_KEY
from laft_fairseq.checkpoints.reading import ORIGIN_KEY, text_tensor
from laft_fairseq.components import file as components_file
from laft_fairseq.errors import LaftError
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.method.language_components import ComponentStatistics
from laft_fairseq.models import architectures
from laft_fairseq.models.laft_mbart import LAFTMBart
from tests import tiny

SOURCE = tiny.rows(["\u2581w1 c1 </s> [en_XX]", "一 <mask> 三 </s> [zh_CN]"])
PREVIOUS = tiny.rows(["[en_XX] \u2581w1 c1 \u2581w2", "[zh_CN] 一 二"], left=False)


def on(backbone: Path, stage: str = "denoising", **options: Any) -> LAFTMBart:
    """A laft that stands on the backbone, its own parts scrambled."""
    built = tiny.model(stage, components=False, backbone=str(backbone), **options)
    built.load_backbone(backbones.read(str(backbone)))
    tiny.give_components(built)
    for name, module in built.named_modules():
        if name.endswith(("task_module", "fusion", "language_adapter")):
            tiny.scramble(module)
    return built


def reloaded(state: dict[str, Any], origin: Path, **options: Any) -> LAFTMBart:
    """What reads a checkpoint: a bare model of the options that training had."""
    built = tiny.model("generation", components=False, adapters=(), **options)
    built.load_state_dict({**state, ORIGIN_KEY: text_tensor(str(origin))}, strict=True)
    return built


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return set(a) == set(b) and all(torch.equal(a[name], b[name]) for name in a)


@torch.no_grad()
@pytest.mark.parametrize("adapter_norm", ["inside", "none"])
def test_fresh_laft_without_removal_is_the_backbone_bit_for_bit(
    backbone: Path, adapter_norm: str
) -> None:
    plain = tiny.model(method="mbart_full")
    laft = tiny.model(removal="none", adapter_norm=adapter_norm)
    for built in (plain, laft):
        built.load_backbone(backbones.read(str(backbone)))
    logits, _ = laft(SOURCE, None, PREVIOUS)
    assert torch.equal(logits, plain(SOURCE, None, PREVIOUS)[0])
    assert not torch.equal(logits, on(backbone)(SOURCE, None, PREVIOUS)[0])
    random = tiny.model(task_module_init="random").encoder
    assert random.task_module[0].fc2.weight.any() and random.fusion.up.weight.any()


def test_a_slim_state_leaves_out_exactly_the_frozen_backbone(backbone: Path) -> None:
    of_backbone = set(backbones.read(str(backbone)).state)
    for stage in ("denoising", "generation"):
        built = on(backbone, stage)
        state = built.state_dict()
        assert set(tiny.tensors_of(built)) - set(state) == of_backbone
        header = tiny.header_of(state)
        assert (header.kind, set(header.frozen)) == ("slim", of_backbone)
        assert header.langs == list(tiny.TAGS)
        assert "encoder.language_components.zh_CN.components" in state
    built = tiny.model(method="mbart_enc")
    built.load_backbone(backbones.read(str(backbone)))
    kept = {n for n in built.state_dict() if not n.endswith(".version")} - {HEADER_KEY}
    assert kept == {n for n in tiny.tensors_of(built) if n.startswith("encoder.layers.")}


@pytest.mark.parametrize(("method", "shares"), [("laft", True), ("mbart_full", False)])
def test_a_backbone_written_to_matters_to_those_who_share_it(
    backbone: Path, tmp_path: Path, method: str, shares: bool
) -> None:
    """Whoever has copied all of it, to train it or to a GPU, saves what it has."""
    path = tmp_path / "model.pt"
    shutil.copy(backbone, path)
    built = on(path, method=method)
    path.write_bytes(b"something else" + path.read_bytes()[14:])
    if shares:
        with pytest.raises(LaftError, match="written to while it was in use"):
            built.state_dict()
    else:
        built.state_dict()


@pytest.mark.parametrize("where", ["option", "environment", "beside", "recorded"])
def test_round_trip_finds_the_backbone(
    backbone: Path, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this order; the recorded path is gone in all but the last."""
    moved, home = tmp_path / "moved.pt", tmp_path / "run"
    home.mkdir()
    moved.write_bytes(backbone.read_bytes())
    trained = on(moved)
    state = trained.state_dict()
    monkeypatch.delenv(backbones.ENVIRONMENT, raising=False)
    options = {"backbone": str(moved)}
    if where != "recorded":
        moved.unlink()
    if where == "option":
        options["backbone"] = str(backbone)
    elif where == "environment":
        monkeypatch.setenv(backbones.ENVIRONMENT, str(backbone))
    elif where == "beside":
        (home / "backbone.pt").write_bytes(backbone.read_bytes())
    actual = reloaded(state, home / "checkpoint_last.pt", **options)
    assert same(tiny.tensors_of(actual), tiny.tensors_of(trained))
    assert set(actual.state_dict()) == set(state)  # slim again


def another(backbone: Path, path: Path) -> Path:
    """A copy of the backbone with one weight changed."""
    content = torch.load(backbone, weights_only=True)
    content["model"]["decoder.layers.1.fc1.bias"][3] += 0.5
    torch.save(content, path)
    return path


def test_another_backbone_is_refused(backbone: Path, tmp_path: Path) -> None:
    state = on(backbone).state_dict()
    other = another(backbone, tmp_path / "other.pt")
    with pytest.raises(LaftError, match=r"other\.pt: another backbone .*c\.pt was trained on"):
        reloaded(state, tmp_path / "c.pt", backbone=str(other))
    started = tiny.model(components=False)
    started.load_backbone(backbones.read(str(other)))
    with pytest.raises(LaftError, match=r"c\.pt: trained on another backbone than .*other\.pt"):
        started.load_state_dict({**state, ORIGIN_KEY: text_tensor("c.pt")})


def test_other_languages_or_removal_are_refused(backbone: Path) -> None:
    state = on(backbone).state_dict()
    permuted = tiny.model(tags=("fr_XX", "en_XX", "zh_CN"), components=False)
    with pytest.raises(LaftError, match=r"en_XX,fr_XX,zh_CN.*fr_XX,en_XX"):
        permuted.load_state_dict(dict(state))
    with pytest.raises(LaftError, match="--removal scaled, not projection"):
        tiny.model(removal="projection").load_state_dict(dict(state))


@pytest.fixture
def bare(backbone: Path, tmp_path: Path) -> Path:
    """The backbone without a header: nothing in it says where its tags stand."""
    torch.save({"model": backbones.read(str(backbone)).state}, tmp_path / "model.pt")
    return tmp_path / "model.pt"


def test_a_checkpoint_of_another_tag_layout_is_refused(bare: Path) -> None:
    """Older ones, without the record, are of the suffix layout."""
    suffix, prefix = (on(bare, layout=layout).state_dict() for layout in ("suffix", "prefix"))
    built = tiny.model(backbone=str(bare), layout="prefix")
    built.load_state_dict(dict(prefix))
    with pytest.raises(LaftError, match=r"suffix, but --tag-layout .* prefix"):
        built.load_state_dict(dict(suffix))
    older = asdict(tiny.header_of(suffix))
    del older["tag_layout"]
    tiny.model(backbone=str(bare)).load_state_dict(
        {**suffix, HEADER_KEY: text_tensor(json.dumps(older))}
    )


@pytest.mark.parametrize("said_by", ["header", "args", "file"])
def test_a_backbone_of_another_tag_layout_is_refused(
    backbone: Path, bare: Path, said_by: str
) -> None:
    content: dict[str, Any] = {"model": backbones.read(str(backbone)).state}
    if said_by == "header":
        content = {"model": tiny.model(method="mbart_full", layout="prefix").state_dict()}
    elif said_by == "args":
        content["args"] = Namespace(tag_layout="prefix")
    else:
        bare.with_name("tag-layout.txt").write_text("prefix\n")
    torch.save(content, bare)
    actual = backbones.read(str(bare))
    tiny.model(layout="prefix").load_backbone(actual)
    with pytest.raises(LaftError, match=r"model\.pt: .* prefix, but .* suffix"):
        tiny.model().load_backbone(actual)


def test_components_of_another_tag_layout_are_refused(tmp_path: Path) -> None:
    path, held = tmp_path / "c.safetensors", {tag: statistics(1) for tag in tiny.TAGS}
    components_file.save(path, held, tiny.K, "", layout=TagLayout.PREFIX)
    components_file.merge([path], tmp_path / "merged.safetensors")
    for file in (path, tmp_path / "merged.safetensors"):
        tiny.model(layout="prefix").load_components(str(file), tiny.TAGS)
        with pytest.raises(LaftError, match=r"safetensors: .* prefix"):
            tiny.model().load_components(str(file), tiny.TAGS)


def test_an_unknown_tensor_is_refused(backbone: Path) -> None:
    state = {**on(backbone).state_dict(), "encoder.surprise": torch.ones(1)}
    with pytest.raises(LaftError, match=r"does not fit --method laft: .* holds encoder\.surprise;"):
        tiny.model(backbone=str(backbone)).load_state_dict(state, strict=True)


def test_components_of_another_k_than_the_checkpoints_are_refused(backbone: Path) -> None:
    state = on(backbone).state_dict()
    built = tiny.model(backbone=str(backbone), language_components="c.safetensors")
    built.encoder.set_components("fr_XX", torch.eye(tiny.D)[:, :2], torch.zeros(tiny.D))
    with pytest.raises(LaftError, match=r"c\.safetensors: 2 components for fr_XX.*with 3"):
        built.load_state_dict(state)


def statistics(seed: int) -> ComponentStatistics:
    made = ComponentStatistics.zeros(tiny.D)
    made.update(torch.randn(20, tiny.D, generator=torch.Generator().manual_seed(seed)))
    return made


def test_start_puts_everything_in(backbone: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    fingerprint = backbones.read(str(backbone)).fingerprint
    held = {tag: statistics(n) for n, tag in enumerate(["en_XX", "fr_XX", "de_DE"])}
    components_file.save(path, held, tiny.K, fingerprint)
    built = tiny.model("denoising", components=False, adapters=(), removal="projection",
                       backbone=str(backbone), language_components=str(path))  # fmt: skip
    built.start(["fr_XX"])
    assert built.decoder.adapter_tags() == ["fr_XX"]
    assert set(built.encoder.language_components) == {"fr_XX", "en_XX"}  # de_DE: not a tag here
    entry, written = built.encoder.language_components["fr_XX"], components_file.load(path)
    assert torch.equal(entry.components, written.select("fr_XX").components)
    assert torch.equal(entry.mean_removed, written.select("fr_XX").mean_removed["projection"])
    content = backbones.read(str(backbone)).state
    assert same({name: tiny.tensors_of(built)[name] for name in content}, content)
    with pytest.raises(LaftError, match=r"c\.safetensors: no components of language zh_CN"):
        built.start(["fr_XX", "zh_CN"])


def test_adapter_langs() -> None:
    built = tiny.model("denoising", adapters=(), adapter_langs="zh_CN,fr_XX")
    built.start(["fr_XX"])
    assert built.decoder.adapter_tags() == ["zh_CN", "fr_XX"]
    with pytest.raises(LaftError, match="--adapter-langs zh_CN,fr_XX: lacks en_XX"):
        built.start(["fr_XX", "en_XX"])
    with pytest.raises(LaftError, match="language de_DE: not in the dictionary"):
        built.add_adapter("de_DE")


def test_every_layer_has_adapters_whatever_layers_training_skips() -> None:
    built = tiny.model(adapters=(), decoder_layers=12, decoder_layerdrop=0.5).train()
    built.start(["en_XX", "fr_XX"])
    adapted = [list(layer.language_adapter) for layer in built.decoder.layers.children()]
    assert adapted == [["en_XX", "fr_XX"]] * 12


@pytest.mark.parametrize(
    ("architecture", "shape"),
    [(architectures.laft_mbart, (12, 1024, 4096, 16, 1024, 512)),
     (architectures.laft_mbart_mini, (4, 256, 1024, 4, 256, 128))],
)  # fmt: skip
def test_architectures(architecture: Any, shape: tuple[int, ...]) -> None:
    args = Namespace()
    architecture(args)
    for side in ("encoder", "decoder"):
        actual = [getattr(args, f"{side}_{name}") for name in
                 ("layers", "embed_dim", "ffn_embed_dim", "attention_heads")]  # fmt: skip
        assert (*actual, args.fusion_dim, args.language_adapter_dim) == shape
        assert getattr(args, f"{side}_normalize_before")
        assert getattr(args, f"{side}_learned_pos")
    assert args.layernorm_embedding
    assert not args.no_scale_embedding
    assert args.share_all_embeddings
    assert args.activation_fn == "gelu"


def test_laft_m2m_has_the_shape_of_its_backbone(tmp_path: Path) -> None:
    """Depth and widths by the tensors, heads and activation as recorded; what is given stands."""
    shape = {"encoder_layers": 3, "encoder_embed_dim": 32, "decoder_embed_dim": 32,
             "encoder_ffn_embed_dim": 48, "decoder_layers": 1, "decoder_ffn_embed_dim": 64,
             "encoder_attention_heads": 4, "decoder_attention_heads": 2}  # fmt: skip
    sinusoidal = {"layernorm_embedding": False, "encoder_learned_pos": False,
                  "decoder_learned_pos": False}  # fmt: skip
    built = tiny.scrambled("denoising", method="mbart_full", **shape, **sinusoidal)
    names = set(backbones.read(str(save(built, tmp_path / "m2m.pt", shape))).state)
    assert not [name for name in names if "positions" in name or "layernorm_embedding" in name]
    args = Namespace(backbone=str(tmp_path / "m2m.pt"), dropout=0.3)
    architectures.laft_m2m(args)
    made = {**shape, **sinusoidal, "activation_fn": "gelu", "no_scale_embedding": True,
            "fusion_dim": 32, "language_adapter_dim": 16, "dropout": 0.3}  # fmt: skip
    assert {name: getattr(args, name) for name in made} == made
    plain = Namespace()
    architectures.laft_m2m(plain)
    assert (plain.encoder_layers, plain.decoder_ffn_embed_dim, plain.activation_fn) == (
        12, 4096, "relu",
    )  # fmt: skip
    for architecture, other in (("laft_mbart_tiny", "m2m.pt"), ("laft_m2m", "mbart.pt")):
        save(tiny.scrambled("denoising", method="mbart_full"), tmp_path / "mbart.pt", {})
        model_args = Namespace(arch=architecture, backbone=str(tmp_path / other))
        getattr(architectures, architecture)(model_args)
        wrong = LAFTMBart.build_model(model_args, tiny.task("denoising"))
        with pytest.raises(LaftError, match=r"embed_positions.* --arch"):
            wrong.load_backbone(backbones.read(str(tmp_path / other)))


def save(built: LAFTMBart, path: Path, shape: dict[str, int]) -> Path:
    """A backbone's file that records its heads, gelu and unscaled embeddings."""
    heads = {name: value for name, value in shape.items() if "heads" in name}
    args = Namespace(activation_fn="gelu", no_scale_embedding=True, **heads)
    torch.save({"args": args, "model": torch.nn.Module.state_dict(built)}, path)
    return path
