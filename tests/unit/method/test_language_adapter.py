import numpy as np
import pytest
import torch

from laft_fairseq.errors import LaftError
from laft_fairseq.method.language_adapter import LanguageAdapter, LanguageAdapters, group_rows
from tests import tiny

T, D, DIM = 4, 8, 3
TAGS = ("en_XX", "fr_XX", "zh_CN")
MIXED = torch.tensor([2, 0, 2, 0, 0])  # no French


def z(batch: int = len(MIXED)) -> torch.Tensor:
    """(T, B, d)."""
    return torch.randn(T, batch, D, generator=torch.Generator().manual_seed(4))


def adapters(norm: str = "inside", seed: int = 5) -> LanguageAdapters:
    built = LanguageAdapters(D, DIM, norm, TAGS)
    tiny.scramble(built, seed, std=0.5)
    return built


def layer_norm(x: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * gain + bias


@pytest.mark.parametrize("norm", ["inside", "outside", "none"])
def test_agrees_with_numpy(norm: str) -> None:
    adapter = LanguageAdapter(D, DIM, norm)
    tiny.scramble(adapter, std=0.5)
    weights = {name: tiny.numpy(p) for name, p in adapter.named_parameters()}
    x = tiny.numpy(z())
    hidden = np.maximum(x @ weights["down.weight"].T + weights["down.bias"], 0)
    f = hidden @ weights["up.weight"].T + weights["up.bias"]
    if norm == "none":
        expected = x + f
    else:
        affine = (weights["layer_norm.weight"], weights["layer_norm.bias"])
        inside = norm == "inside"
        expected = x + layer_norm(f, *affine) if inside else layer_norm(x + f, *affine)
    np.testing.assert_allclose(tiny.numpy(adapter(z())), expected, atol=1e-5)


@pytest.mark.parametrize(("norm", "identity"), [("inside", 1), ("none", 1), ("outside", 0)])
def test_a_fresh_one_is_the_identity_where_it_can_be(norm: str, identity: bool) -> None:
    assert torch.equal(LanguageAdapter(D, DIM, norm)(z()), z()) is bool(identity)


@pytest.mark.parametrize("norm", ["inside", "none"])
def test_the_identity_is_no_dead_end(norm: str) -> None:
    """With `inside` the gain moves first, and then U and D, which are not zero."""
    adapter = LanguageAdapter(D, DIM, norm)
    optimizer = torch.optim.SGD(adapter.parameters(), lr=0.1)
    gradients = []
    for _ in range(2):
        optimizer.zero_grad()
        adapter(z()).pow(3).sum().backward()
        gradients.append({n for n, p in adapter.named_parameters() if p.grad.any()})
        optimizer.step()
    first = (
        {"layer_norm.weight", "layer_norm.bias"} if norm == "inside" else {"up.weight", "up.bias"}
    )
    assert gradients[0] == first
    assert {"up.weight", "down.weight"} <= gradients[1]


def test_rows_of_each_language() -> None:
    (first, en), (second, zh) = group_rows(MIXED, TAGS)
    assert (first, en.tolist()) == ("en_XX", [1, 3, 4])
    assert (second, zh.tolist()) == ("zh_CN", [0, 2])
    assert group_rows(torch.tensor([1, 1]), TAGS) == [("fr_XX", None)]


@pytest.mark.parametrize("train", [True, False])
def test_a_mixed_batch_gives_what_its_rows_give_alone(train: bool) -> None:
    built = adapters().train(train)
    out = built(z(), group_rows(MIXED, TAGS))  # (T, B, d)
    for row, language in enumerate(MIXED.tolist()):
        alone = built[TAGS[language]](z()[:, row : row + 1])
        torch.testing.assert_close(out[:, row : row + 1], alone, rtol=0, atol=1e-6)
    assert not torch.allclose(out, built["en_XX"](z()), atol=1e-3)


@pytest.mark.parametrize("languages", [MIXED, torch.tensor([0] * 5)])
def test_an_absent_language_gets_a_zero_gradient(languages: torch.Tensor) -> None:
    built = adapters().train()
    built(z(), group_rows(languages, TAGS)).pow(2).sum().backward()
    gradients = {tag: [p.grad for p in built[tag].parameters()] for tag in TAGS}
    assert all(g is not None and not g.any() for g in gradients["fr_XX"])
    assert all(g is not None and g.any() for g in gradients["en_XX"])


def test_an_absent_language_moves_the_same_however_batches_are_split() -> None:
    """Adam's momentum goes on moving it: by a mixed batch, or by one process's share of it."""
    moved = []
    for second in (MIXED, torch.tensor([0] * 5)):  # French is absent from both
        built = adapters().train()
        optimizer = torch.optim.Adam(built.parameters(), lr=0.1)
        for languages in (torch.tensor([0, 1, 2, 1, 0]), second):
            optimizer.zero_grad()
            built(z(), group_rows(languages, TAGS)).pow(2).sum().backward()
            optimizer.step()
        moved.append([p.detach().clone() for p in built["fr_XX"].parameters()])
    fresh = adapters()["fr_XX"].parameters()
    assert all(map(torch.equal, *moved))
    assert not any(torch.allclose(a, b, atol=0.15) for a, b in zip(moved[0], fresh, strict=True))


def test_evaluation_builds_nothing_of_absent_languages() -> None:
    """Frozen adapters too: what needs no gradient stays out of the graph."""
    built = adapters().requires_grad_(False).train()
    assert not built(z(), group_rows(MIXED, TAGS)).requires_grad


def test_a_missing_adapter_names_its_language() -> None:
    built = LanguageAdapters(D, DIM, "inside", ["en_XX", "zh_CN"])
    with pytest.raises(LaftError, match=r"fr_XX \(there are: en_XX, zh_CN\)"):
        built(z(2), group_rows(torch.tensor([0, 1]), TAGS))


def test_adding_a_language_changes_no_other() -> None:
    built = LanguageAdapters(D, DIM, "inside", ["en_XX"])
    before = {name: tensor.clone() for name, tensor in built.state_dict().items()}
    built.add("fr_XX")
    held = built["en_XX"]
    built.add("en_XX")  # there already
    assert built["en_XX"] is held
    after = built.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert {name.split(".")[0] for name in after} == {"en_XX", "fr_XX"}
