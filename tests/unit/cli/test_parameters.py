"""`laft parameters`: the numbers of mBART-large as literals, and that nothing is allocated."""

import json
from pathlib import Path
from typing import Any

import pytest

from laft_fairseq.analysis import parameter_counts
from laft_fairseq.cli import main
from laft_fairseq.errors import LaftError
from laft_fairseq.method.systems import METHODS
from tests import tiny

BACKBONE = 610_851_840
PARTS = {
    "vocabulary embedding (tied)": 256_027_648,
    "positions": 2_101_248,
    "layer norms outside layers": 8_192,
    "encoder layers": 151_154_688,
    "decoder layers": 201_560_064,
}
TASK_MODULE, FUSION, ADAPTERS = 25_192_448, 3_147_776, 25_251_840
LANGS = ["en_XX", "fr_XX"]


def counted(report: dict[str, Any], stage: str = "") -> dict[str, int]:
    """The parameters of each part, or what a stage trains of it."""
    return {p["name"]: p["trained"][stage] if stage else p["count"] for p in report["parts"]}


@pytest.fixture(scope="module")
def laft() -> dict[str, Any]:
    return parameter_counts.count("laft_mbart", "laft", LANGS)


def test_parts_and_shares_of_mbart_large(laft: dict[str, Any]) -> None:
    added = {"task module": TASK_MODULE, "fusion": FUSION, "language adapter": ADAPTERS}
    assert counted(laft) == {**PARTS, **added}
    assert {part["name"] for part in laft["parts"] if part["added"]} == set(added)
    assert laft["backbone"] == BACKBONE
    assert laft["total"] == BACKBONE + TASK_MODULE + FUSION + ADAPTERS == 664_443_904
    units = {p["name"]: (p["unit"], p["units"]) for p in laft["parts"] if "unit" in p}
    assert units == {
        "encoder layers": ("encoder layer", 12),
        "decoder layers": ("decoder layer", 12),
        "task module": ("encoder layer", 2),
        "language adapter": ("layer and language", 24),
    }
    first, second = laft["stages"].values()
    assert first["trained"] == TASK_MODULE + FUSION + ADAPTERS == 53_592_064
    assert second["trained"] == TASK_MODULE
    shares = [stage[share] for stage in (first, second) for share in ("of_backbone", "of_total")]
    assert [round(100 * share, 2) for share in shares] == [8.77, 8.07, 4.12, 3.79]


@pytest.mark.parametrize(
    ("method", "trained"),
    [
        ("mbart_full", BACKBONE),
        ("mbart_enc", 151_154_688),
        ("mbart_enc_top2", 25_192_448),
        ("mbart_attn_qk", 75_571_200),
    ],
)
def test_rows_that_add_nothing(method: str, trained: int) -> None:
    counts = parameter_counts.count("laft_mbart", method, LANGS)
    assert counted(counts) == PARTS
    assert counts["backbone"] == counts["total"] == BACKBONE
    assert [stage["trained"] for stage in counts["stages"].values()] == [trained, trained]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("arch", parameter_counts.architectures())
def test_every_method_at_every_architecture(arch: str, method: str) -> None:
    counts = parameter_counts.count(arch, method, ["zh_CN"], vocabulary=100)
    first, second = (stage["trained"] for stage in counts["stages"].values())
    assert 0 < second <= first <= counts["total"]
    assert not any("." in name for name in counted(counts)), "a part without a name"


def test_added_adapters(laft: dict[str, Any]) -> None:
    """One a language and layer; of tasks 24 x (1024 x 512 + 512 + 512 x 1024 + 1024), 25.2M."""
    three = parameter_counts.count("laft_mbart", "laft", [*LANGS, "zh_CN"])
    assert three["total"] - laft["total"] == 12 * 1_052_160
    counts = parameter_counts.count("laft_mbart", "adapter", LANGS)
    (part,) = (part for part in counts["parts"] if part["added"])
    assert (part["name"], part["count"], part["units"]) == ("task adapter", 25_202_688, 24)
    assert set(part["trained"].values()) == {25_202_688}


@pytest.mark.parametrize(("rank", "trained"), [(0, 25_411_584), (8, 4_325_376)])
def test_loras_share(rank: int, trained: int) -> None:
    """A rank takes 144 x 2048 in attentions and 48 x 5120 beside; LAFT's 25.2M ask for 47."""
    per_rank = 144 * 2048 + 48 * 5120
    assert trained == (rank or round(TASK_MODULE / per_rank)) * per_rank
    counts = parameter_counts.count("laft_mbart", "lora", LANGS, lora_rank=rank)
    (part,) = (part for part in counts["parts"] if part["added"])
    assert (part["name"], part["count"], part["units"]) == ("lora", trained, 24)


def test_it_counts_what_a_real_model_has() -> None:
    model = tiny.model()
    arch, size = "laft_mbart_tiny", len(tiny.dictionary())
    counts = parameter_counts.count(arch, "laft", tiny.TAGS, size)
    # The tiny test model has 64 positions, the architecture 1,024, in both stacks of width 32.
    assert counts["total"] - 2 * 960 * 32 == sum(p.numel() for p in model.parameters())


def test_nothing_is_allocated() -> None:
    model = parameter_counts._build("laft_mbart", "laft", LANGS, 250_027)
    assert all(parameter.is_meta for parameter in model.parameters())


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "counts.json"
    assert main.main(["parameters", "--arch", "laft_mbart", "--json", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    words = [" ".join(line.split()) for line in lines]
    assert "task module 25.19M 4.12 % 25.19M 25.19M 2 x 12.596M an encoder layer" in words
    assert "fusion 3.15M 0.52 % 3.15M –" in words
    assert "language adapter 25.25M 4.13 % 25.25M – 24 x 1.052M a layer and language" in words
    assert "backbone 610.85M 100.00 %" in words
    assert "trained, of the backbone 8.77 % 4.12 %" in words
    assert "trained, of the total 8.07 % 3.79 %" in words
    assert "trained, the paper, mBART-large 3.8 %" in words
    content = json.loads(out.read_text())
    assert content["backbone"] == BACKBONE
    assert content["stages"]["generation"]["trained"] == TASK_MODULE
    assert content["parts"][-1]["units"] == 24


@pytest.mark.parametrize(
    ("arch", "method", "langs", "vocabulary", "message"),
    [
        ("mbart_large", "laft", LANGS, 100, "--arch mbart_large: unknown; choose from laft_mbart"),
        ("laft_mbart", "lft", LANGS, 100, "--method lft: unknown"),
        ("laft_mbart", "laft", [], 100, "--langs: name at least one"),
        ("laft_mbart", "laft", LANGS, 6, "--vocab 6: too few entries"),
        ("laft_mbart", "laft", LANGS, 10**15, "--vocab 10+: at most 100000000"),
    ],
)
def test_what_is_refused(
    arch: str, method: str, langs: list[str], vocabulary: int, message: str
) -> None:
    with pytest.raises(LaftError, match=message):
        parameter_counts.count(arch, method, langs, vocabulary)


def test_new_languages_come_on_top(capsys: pytest.CaptureFixture[str]) -> None:
    """An adapter like any other's, and a row of 1,024 in each stack; the decoder's trains."""
    counts = parameter_counts.count("laft_mbart", "laft", ["en_XX"], new_langs=["eo_XX", "sw_KE"])
    assert counted(counts)["new tag rows"] == 4 * 1024
    assert counted(counts, "denoising")["new tag rows"] == 2 * 1024
    assert counted(counts, "generation")["new tag rows"] == 0
    assert counts["langs"] == ["en_XX", "eo_XX", "sw_KE"]
    assert counts["total"] == BACKBONE + TASK_MODULE + FUSION + 3 * ADAPTERS // 2 + 4096
    assert main.main(["parameters", "--arch", "laft_mbart", "--new-langs", "fr_XX"]) == 2
    assert "fr_XX is listed twice" in capsys.readouterr().err
