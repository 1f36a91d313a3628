from pathlib import Path

import pytest
import torch
from torch import nn

from laft_fairseq.errors import LaftError
from laft_fairseq.training import frozen_weights
from laft_fairseq.training.frozen_weights import Casts, FileState, adopt, release

N = 256  # a matrix of 256 x 256 fp32 spans 64 pages


def mapped(folder: Path) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    torch.save({"weight": torch.randn(N, N), "bias": torch.randn(N)}, folder / "w.pt")
    return dict(torch.load(folder / "w.pt", weights_only=True, mmap=True))


@pytest.fixture
def linear() -> nn.Linear:
    layer = nn.Linear(N, N)
    layer.requires_grad_(False)
    return layer


def test_a_frozen_parameter_shares_the_mapped_tensor(tmp_path: Path, linear: nn.Linear) -> None:
    source = mapped(tmp_path)
    adopt(dict(linear.named_parameters()), source)
    assert linear.weight.data_ptr() == source["weight"].data_ptr()
    assert torch.equal(linear.bias, source["bias"])


def test_a_trained_parameter_has_its_own_copy(tmp_path: Path) -> None:
    source = mapped(tmp_path)
    layer = nn.Linear(N, N)
    adopt(dict(layer.named_parameters()), source)
    with torch.no_grad():
        layer.weight.add_(1)
    assert torch.equal(layer.weight - source["weight"] > 0.9, torch.ones(N, N).bool())


def test_half_precision_is_widened(linear: nn.Linear) -> None:
    source = {"weight": torch.full((N, N), 1.5).half(), "bias": torch.ones(N).half()}
    adopt(dict(linear.named_parameters()), source)
    assert linear.weight.dtype == torch.float32
    assert linear.weight.unique().tolist() == [1.5]


def test_tied_parameters_stay_tied(tmp_path: Path, linear: nn.Linear) -> None:
    source = mapped(tmp_path)
    other = nn.Linear(N, N)
    other.weight = linear.weight
    adopt({"a": linear.weight, "b": other.weight}, {"a": source["weight"], "b": source["weight"]})
    assert other.weight is linear.weight
    assert torch.equal(linear.weight, source["weight"])


def resident(tensor: torch.Tensor) -> int:
    """Kilobytes of the mapping around a tensor that are in memory, as the kernel says."""
    address, inside = tensor.data_ptr(), False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        head = line.split()[0]
        if "-" in head and not head.endswith(":"):
            first, last = (int(part, 16) for part in head.split("-"))
            inside = first <= address < last
        elif inside and head == "Rss:":
            return int(line.split()[1])
    raise AssertionError("no mapping")


def test_released_memory_is_gone_and_comes_back_as_it_was(
    tmp_path: Path, linear: nn.Linear
) -> None:
    source = mapped(tmp_path)
    adopt(dict(linear.named_parameters()), source)
    before = linear.weight.clone()  # touches every page
    full = resident(linear.weight)
    release([linear.weight])
    assert full >= 256 and resident(linear.weight) <= full - 240
    assert torch.equal(linear.weight, before)


def test_what_was_copied_is_not_in_memory_twice(tmp_path: Path, linear: nn.Linear) -> None:
    source = mapped(tmp_path)
    expected = source["weight"].clone()  # touches every page
    full = resident(source["weight"])
    linear.requires_grad_(True)
    adopt(dict(linear.named_parameters()), source)
    assert full >= 256 and resident(source["weight"]) <= full - 240
    assert torch.equal(linear.weight, expected) and torch.equal(source["weight"], expected)


@pytest.mark.parametrize("how", ["never adopted", "written to", "replaced"])
def test_what_is_not_the_files_own_is_not_released(
    tmp_path: Path, linear: nn.Linear, how: str
) -> None:
    source = mapped(tmp_path)
    if how != "never adopted":
        adopt(dict(linear.named_parameters()), source)
    if how == "written to":
        with torch.no_grad():
            linear.weight.fill_(3)
    if how == "replaced":
        linear.weight.data = torch.full((N, N), 3.0)
    before = linear.weight.clone()
    release([linear.weight])
    assert torch.equal(linear.weight, before)


def test_copies_are_autocasts_own_and_bit_for_bit(linear: nn.Linear) -> None:
    x = torch.randn(5, N, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        plain = linear(x)
    plain.sum().backward()
    expected, x.grad = x.grad, None
    casts = Casts()
    with torch.autocast("cpu", dtype=torch.bfloat16), casts.in_place(linear):
        assert linear.weight.dtype == torch.bfloat16
        actual = linear(x)
    actual.sum().backward()
    assert linear.weight.dtype == torch.float32
    assert isinstance(linear.weight, nn.Parameter)
    assert torch.equal(actual, plain) and torch.equal(x.grad, expected)


def test_a_copy_is_made_once_and_again_after_a_change(
    linear: nn.Linear, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    monkeypatch.setattr(frozen_weights, "release", made.extend)  # called for each copy made
    casts = Casts()
    for _ in range(3):
        with casts.in_place(linear):
            pass
    assert len(made) == 2  # weight and bias
    with torch.no_grad():
        linear.weight.fill_(2)
    with casts.in_place(linear):
        assert linear.weight.unique().tolist() == [2]
    assert len(made) == 3


def test_trained_layers_are_left_alone() -> None:
    layer = nn.Linear(N, N)
    with Casts().in_place(layer):
        assert layer.weight.dtype == torch.float32


def test_an_embedding_keeps_its_precision(linear: nn.Linear) -> None:
    embedding = nn.Embedding(N, N)
    embedding.weight = linear.weight
    both = nn.ModuleList([embedding, linear])
    with Casts().in_place(both):
        assert embedding.weight.dtype == torch.float32
        assert linear.weight.dtype == torch.bfloat16
    assert embedding.weight is linear.weight


def test_everything_is_put_back_after_an_error(linear: nn.Linear) -> None:
    with pytest.raises(ZeroDivisionError), Casts().in_place(linear):
        raise ZeroDivisionError
    assert linear.weight.dtype == torch.float32


def test_a_file_that_was_written_to_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(b"one")
    state = FileState.of(str(file))
    state.check()
    file.write_bytes(b"three")
    with pytest.raises(LaftError, match=r"model\.pt: the backbone was written to while"):
        state.check()


def test_a_file_that_was_replaced_or_removed_is_none_of_our_business(tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(b"one")
    state = FileState.of(str(file))
    (tmp_path / "new").write_bytes(b"other")
    (tmp_path / "new").replace(file)
    state.check()
    file.unlink()
    state.check()
