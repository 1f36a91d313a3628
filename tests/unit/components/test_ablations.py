"""Ablations against numpy and scipy: whose c it is, and that as much is removed."""

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch

from laft_fairseq.cli import main
from laft_fairseq.components import ablations
from laft_fairseq.components import file as components_file
from laft_fairseq.method.language_components import ComponentStatistics
from tests import tiny

TAGS, D, K, N = ("en_XX", "fr_XX", "zh_CN"), 24, 3, 60


def rows(tag: str) -> np.ndarray:
    """M_L (n, d) float64: a common mean, directions of falling strength, rows of many lengths."""
    rng = np.random.default_rng([*tag.encode()])
    spread = rng.normal(size=(N, D)) * np.geomspace(3, 0.1, D) + 2 * rng.normal(size=D)
    return spread * rng.uniform(0.2, 5, size=(N, 1))


@pytest.fixture(scope="module")
def true(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("true") / "true.safetensors"
    statistics = {}
    for tag in TAGS:
        statistics[tag] = ComponentStatistics.zeros(D)
        for part in np.array_split(rows(tag), 4):
            statistics[tag].update(torch.tensor(part))
    components_file.save(path, statistics, K, "abc")
    return path


def removed(m: np.ndarray, c: np.ndarray, scaling: str, gain: float = 1.0) -> np.ndarray:
    """s_L of each row, one by one."""
    norms = np.sqrt((m**2).sum(1)) if scaling == "scaled" else np.ones(len(m))
    return np.stack([gain * (c @ (c.T @ e)) / norm for e, norm in zip(m, norms, strict=True)])


def rms(s: np.ndarray) -> float:
    return float(np.sqrt((s**2).sum(1).mean()))


def singular(tag: str, k: int = K) -> np.ndarray:
    return scipy.linalg.svd(rows(tag), full_matrices=False)[2][:k].T  # (d, k)


def basis(path: Path) -> list[float]:
    entries = components_file.load(path).languages.values()
    return [float(x) for entry in entries for x in entry.components.flatten()]


def run(*flags: str | Path) -> int:
    return main.main(["components", *map(str, flags)])


@pytest.mark.parametrize("scaling", ["scaled", "projection"])
def test_the_norm_follows_exactly_from_the_gram_matrices(true: Path, scaling: str) -> None:
    for tag in TAGS:
        held = components_file.load(true, with_statistics=True).select(tag)
        norm = ablations.removed_rms(held.statistics, held.components, scaling)
        assert norm == pytest.approx(rms(removed(rows(tag), singular(tag), scaling)), rel=1e-6)


def test_another_languages_components(true: Path, tmp_path: Path) -> None:
    out = tmp_path / "other.safetensors"
    assert run("--from", true, "--control", "other-language", "--out", out) == 0
    held = components_file.load(out, with_statistics=True)
    assert held.control.of == {"en_XX": "fr_XX", "fr_XX": "zh_CN", "zh_CN": "en_XX"}
    for tag, other in held.control.of.items():
        entry, m, c = held.select(tag), rows(tag), singular(other)
        other_c = tiny.numpy(entry.components)
        np.testing.assert_allclose(other_c @ other_c.T, c @ c.T, atol=1e-6)
        for scaling in ("scaled", "projection"):  # the mean over the tag's own sentences
            expected = removed(m, c, scaling).mean(0)
            np.testing.assert_allclose(entry.mean_removed[scaling], expected, atol=1e-5)
        expected = np.sqrt(((m @ other_c) ** 2).sum(0))
        np.testing.assert_allclose(entry.singular_values, expected, rtol=1e-6)
        assert torch.equal(entry.used("scaled"), entry.components)


def test_a_random_subspace_removes_as_much(
    true: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "random.safetensors"
    flags = ("--from", true, "--control", "random-subspace", "--seed", "4")
    assert run(*flags, "--out", out) == 0
    assert "an ablation: random-subspace, seed 4\n" in capsys.readouterr().out
    held, drawn = components_file.load(out), []
    for tag in TAGS:
        entry, m = held.select(tag), rows(tag)
        c = tiny.numpy(entry.components)
        np.testing.assert_allclose(c.T @ c, np.eye(K), atol=1e-6)
        drawn.append(c)
        for scaling in ("scaled", "projection"):
            s = removed(m, c, scaling, entry.gains[scaling])
            assert rms(s) == pytest.approx(rms(removed(m, singular(tag), scaling)), rel=1e-5)
            np.testing.assert_allclose(entry.mean_removed[scaling], s.mean(0), atol=1e-5)
            used = tiny.numpy(entry.used(scaling))  # what a model multiplies by
            np.testing.assert_allclose(used @ used.T, entry.gains[scaling] * c @ c.T, atol=1e-5)
        assert entry.gains["scaled"] != pytest.approx(entry.gains["projection"], rel=1e-3)
    assert np.abs(drawn[0].T @ drawn[1]).max() < 0.99  # each language has its own
    again, another = tmp_path / "again.safetensors", tmp_path / "another.safetensors"
    assert run(*flags, "--out", again) == 0
    assert basis(again) == basis(out)
    assert run("--from", true, "--control", "random-subspace", "--out", another) == 0  # seed 1
    assert basis(another) != basis(out)


@pytest.mark.parametrize("k", [1, 5])
def test_fewer_or_more_components_without_a_new_pass(true: Path, tmp_path: Path, k: int) -> None:
    out = tmp_path / "derived.safetensors"
    assert run("--from", true, "--num-components", k, "--out", out) == 0
    held = components_file.load(out)
    assert (held.k, held.fingerprint, held.control) == (k, "abc", None)
    for tag in TAGS:
        c = tiny.numpy(held.select(tag).components)
        np.testing.assert_allclose(c @ c.T, singular(tag, k) @ singular(tag, k).T, atol=1e-6)
    control = tmp_path / "control.safetensors"
    run("--from", true, "--control", "random-subspace", "--num-components", k, "--out", control)
    entry = components_file.load(control).select("fr_XX")
    s = removed(rows("fr_XX"), tiny.numpy(entry.components), "projection")
    expected = rms(removed(rows("fr_XX"), singular("fr_XX", k), "projection"))
    assert entry.gains["projection"] * rms(s) == pytest.approx(expected, rel=1e-5)


@pytest.fixture(scope="module")
def files(true: Path) -> Path:
    """Beside the true components: one language alone, an older file, an ablation."""
    home = true.parent
    statistics = components_file.load(true, with_statistics=True).statistics
    components_file.save(home / "alone", {"en_XX": statistics["en_XX"]}, K, "abc")
    components_file.save(home / "masked", statistics, K, "abc", mask_source_tag=True)
    for of_language in statistics.values():
        of_language.unit_gram = None  # as files of earlier versions
    components_file.save(home / "old", statistics, K, "abc")
    assert run("--from", true, "--control", "other-language", "--out", home / "ablation") == 0
    return home


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ("--from alone --control other-language", "alone"),
        ("--from old --control random-subspace", "old: holds no Gram matrix"),
        ("--from ablation --control random-subspace", "ablation"),
        ("--merge ablation true.safetensors", "ablation"),
        ("--merge true.safetensors masked", "masked"),
        ("--control random-subspace", "--from"),
        ("--from true.safetensors --seed 3", "--seed"),
        ("--from true.safetensors --langs en_XX --max-sentences 5", "--langs, --max-sentences"),
        ("--from true.safetensors --merge alone", "--merge"),
        ("--merge true.safetensors alone --langs en_XX", "--langs"),
        ("--langs en_XX --max-sentences 0", "--max-sentences 0"),
        ("--from true.safetensors --num-components 25", "25 components of 24 dimensions"),
    ],
)
def test_what_is_refused(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    flags: str, named: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(files)
    assert run(*flags.split(), "--out", "never") == 2
    error = capsys.readouterr().err
    assert named in error
    assert error.count("\n") == 1
    assert not (files / "never").exists()


def test_what_older_and_masked_files_still_give(files: Path) -> None:
    for name in ("old", "masked"):  # neither needs unit rows
        assert run("--from", files / name, "--num-components", "2", "--out", files / "two") == 0
        assert components_file.load(files / "two").mask_source_tag is (name == "masked")
