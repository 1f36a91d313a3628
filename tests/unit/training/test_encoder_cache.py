import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from laft_fairseq.errors import LaftError
from laft_fairseq.training import encoder_cache
from laft_fairseq.training.encoder_cache import (
    HEADER,
    EncoderCache,
    encoder_fingerprint,
    key_of,
    use_cache,
)
from tests import tiny

D = 8
LIMIT = 10**6


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_cache, "SCAN_INTERVAL", 0.0)


def texts(count: int = 3) -> tuple[list[bytes], list[Tensor]]:
    """Keys, and (t, D) vectors that bf16 holds exactly."""
    keys = [key_of(torch.arange(n + 1)) for n in range(count)]
    return keys, [torch.arange((n + 1) * D).reshape(n + 1, D) / 2 for n in range(count)]


def equal(actual: list[Tensor | None], expected: list[Tensor]) -> bool:
    pairs = zip(actual, expected, strict=True)
    return all(a is not None and torch.equal(a.float(), b) for a, b in pairs)


def there(actual: list[Tensor | None]) -> list[bool]:
    """Which of the texts were found."""
    return [vectors is not None for vectors in actual]


def test_what_was_put_is_there_for_this_process_and_the_next(tmp_path: Path) -> None:
    keys, vectors = texts()
    cache = EncoderCache(tmp_path / "c", D, LIMIT)
    assert not any(there(cache.get(keys)))
    cache.put(keys, vectors)
    assert equal(cache.get(keys), vectors)
    assert equal(EncoderCache(tmp_path / "c", D, LIMIT).get(keys[::-1]), vectors[::-1])


def test_numbers_are_rounded_to_bf16(tmp_path: Path) -> None:
    cache = EncoderCache(tmp_path / "c", 1, LIMIT)
    cache.put([key_of(torch.tensor([1]))], [torch.tensor([[1.00390625]])])  # 1 + 2^-8: a tie
    actual = cache.get([key_of(torch.tensor([1]))])
    assert actual[0] is not None and actual[0].item() == 1.0


def test_two_processes_fill_one_folder(tmp_path: Path) -> None:
    keys, vectors = texts()
    first, second = (EncoderCache(tmp_path / "c", D, LIMIT) for _ in range(2))
    assert not any(there(first.get(keys[:1])) + there(second.get(keys[1:])))
    first.put(keys[:1], vectors[:1])
    second.put(keys[1:], vectors[1:])
    assert equal(first.get(keys), vectors)
    assert len(list((tmp_path / "c").glob("*.cache"))) == 2


def test_nothing_is_kept_twice(tmp_path: Path) -> None:
    keys, vectors = texts()
    cache = EncoderCache(tmp_path / "c", D, LIMIT)
    cache.put(keys, vectors)
    cache.put(keys, vectors)
    (part,) = tmp_path.glob("c/*.cache")
    assert part.stat().st_size == 3 * HEADER.size + (1 + 2 + 3) * D * 2


def test_the_limit_holds_for_all_runs_together(tmp_path: Path) -> None:
    keys, vectors = texts()
    one = D * 2 + HEADER.size  # the first text has one token
    EncoderCache(tmp_path / "c", D, LIMIT).put(keys[:1], vectors[:1])
    cache = EncoderCache(tmp_path / "c", D, one + 5)
    assert there(cache.get(keys)) == [True, False, False]
    cache.put(keys, vectors)
    assert there(cache.get(keys)) == [True, False, False]
    assert equal(cache.get(keys[:1]), vectors[:1])


def test_a_file_that_cannot_be_read_is_a_text_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, vectors = texts()
    cache = EncoderCache(tmp_path / "c", D, LIMIT)
    cache.put(keys, vectors)

    def fail(*unused: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(encoder_cache.os, "preadv", fail)
    assert cache.get(keys) == [None] * 3


LAST = HEADER.size + 3 * D * 2  # bytes of the third record


@pytest.mark.parametrize("kept", [None, LAST - 1, HEADER.size, HEADER.size - 1])
def test_a_damaged_record_is_a_text_that_is_not_there(tmp_path: Path, kept: int | None) -> None:
    """A bit of its vectors has flipped, or its writer was killed after some bytes."""
    keys, vectors = texts()
    EncoderCache(tmp_path / "c", D, LIMIT).put(keys, vectors)
    (part,) = tmp_path.glob("c/*.cache")
    content = bytearray(part.read_bytes())
    if kept is None:
        content[-1] ^= 1
    else:
        del content[len(content) - LAST + kept :]
    part.write_bytes(content)
    cache = EncoderCache(tmp_path / "c", D, LIMIT)
    assert there(cache.get(keys)) == [True, True, False]
    assert equal(cache.get(keys[:2]), vectors[:2])
    cache.put(keys, vectors)
    assert equal(cache.get(keys), vectors)


def test_the_folder_may_be_deleted_at_any_time(tmp_path: Path) -> None:
    keys, vectors = texts()
    cache = EncoderCache(tmp_path / "c", D, LIMIT)
    cache.put(keys[:2], vectors[:2])
    shutil.rmtree(tmp_path / "c")
    assert equal(cache.get(keys[:2]), vectors[:2])
    cache.put(keys[2:], vectors[2:])
    assert not any(there(EncoderCache(tmp_path / "c", D, LIMIT).get(keys)))


def test_the_limit_is_of_all_backbones_together(tmp_path: Path) -> None:
    keys, vectors = texts()
    EncoderCache(tmp_path / "a", D, LIMIT).put(keys[:1], vectors[:1])
    one = D * 2 + HEADER.size
    model = tiny.model(method="laft")
    use_cache(model.encoder, str(tmp_path), 100 + one, "backbone", "float32")
    assert model.encoder.cache is not None and model.encoder.cache.limit == 100


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("a file")
    with pytest.raises(LaftError, match=r"c: --encoder-cache cannot be made \(File exists\)"):
        EncoderCache(tmp_path / "c", D, LIMIT)


def test_texts_differ_by_every_token_and_their_length() -> None:
    keys = {key_of(torch.tensor(t)) for t in ([5], [5, 6], [6, 5], [5, 6, 1], [5 + 2**31 - 10])}
    assert len(keys) == 5


SOURCES = ["▁w1 c1 </s> [en_XX]", "▁w1 c1 ▁w2 c2 ▁w3 c3 </s> [en_XX]"]


def test_the_encoder_runs_once_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.model(method="laft").train()
    tokens = tiny.rows(SOURCES)
    plain = model.encoder.forward_backbone(tokens)
    use_cache(model.encoder, str(tmp_path), LIMIT, "backbone", "float32")
    filling = model.encoder.forward_backbone(tokens)
    monkeypatch.setattr(type(model.encoder), "forward_embedding", None)  # it must not be needed
    reading = model.encoder.forward_backbone(tokens)
    narrow = model.encoder.forward_backbone(tiny.rows(SOURCES[:1]))
    kept = tokens.ne(1).T
    rounded = plain["encoder_out"][0][kept].bfloat16().float()
    for out in (filling, reading):
        assert torch.equal(out["encoder_out"][0][kept], rounded)
        assert torch.equal(out["encoder_padding_mask"][0], plain["encoder_padding_mask"][0])
    assert torch.equal(filling["encoder_out"][0], reading["encoder_out"][0])
    assert torch.equal(narrow["encoder_out"][0][:, 0], reading["encoder_out"][0][-4:, 0])
    assert set(reading) == set(plain)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_model_in_half_precision_reads_what_it_wrote(tmp_path: Path, dtype: torch.dtype) -> None:
    model = tiny.model(method="laft").train().to(dtype)
    use_cache(model.encoder, str(tmp_path), LIMIT, "backbone", "float32")
    filling, reading = (model.encoder(tiny.rows(SOURCES))["encoder_out"][0] for _ in range(2))
    assert filling.dtype == reading.dtype == dtype
    assert torch.equal(filling, reading)


def test_options_that_no_tensor_shows_have_another_folder(tmp_path: Path) -> None:
    shapes = ({}, {"encoder_attention_heads": 4}, {"activation_fn": "relu"},
              {"no_scale_embedding": True}, {"mask_source_tag": True})  # fmt: skip
    for options in shapes:
        encoder = tiny.model(method="laft", **options).encoder
        use_cache(encoder, str(tmp_path), LIMIT, "backbone", "float32")
    use_cache(encoder, str(tmp_path), LIMIT, "backbone", "bf16-autocast")
    use_cache(encoder, str(tmp_path), LIMIT, "another", "float32")
    assert len(list(tmp_path.iterdir())) == len(shapes) + 2


def test_an_encoder_that_another_row_has_trained_has_no_name() -> None:
    """The recorded backbone is not what such a checkpoint's encoder is."""
    model = tiny.model(method="laft")
    model.fingerprint, model.from_backbone = "f", set(model.backbone_parameters())
    assert encoder_fingerprint(model) == "f"
    model.from_backbone -= {"decoder.layers.0.fc1.weight"}
    assert encoder_fingerprint(model) == "f"
    model.from_backbone -= {"encoder.layers.0.fc1.weight"}
    assert encoder_fingerprint(model) == ""


def test_of_a_batch_only_what_is_missing_is_encoded(tmp_path: Path) -> None:
    model = tiny.model(method="laft").train()
    tokens = tiny.rows([*SOURCES, "▁w4 </s> [fr_XX]"])
    expected = model.encoder.forward_backbone(tokens)["encoder_out"][0]
    use_cache(model.encoder, str(tmp_path), LIMIT, "backbone", "float32")
    model.encoder.forward_backbone(tokens[1:2])
    sizes = []
    hook = model.encoder.layers[0].register_forward_pre_hook(
        lambda layer, inputs: sizes.append(inputs[0].size(1))
    )
    actual = model.encoder.forward_backbone(tokens)["encoder_out"][0]
    model.encoder.forward_backbone(tokens)
    hook.remove()
    assert sizes == [2]
    kept = tokens.ne(1).T
    assert torch.allclose(actual[kept], expected[kept], rtol=2**-7, atol=1e-4)


def test_evaluation_computes(tmp_path: Path) -> None:
    model = tiny.model(method="laft").train()
    use_cache(model.encoder, str(tmp_path), LIMIT, "backbone", "float32")
    model.eval()
    model.encoder.forward_backbone(tiny.rows(SOURCES))
    assert not list(tmp_path.rglob("*.cache"))


@pytest.mark.parametrize("method", ["mbart_full", "mbart_enc_top2", "adapter", "tm_adv"])
def test_an_encoder_that_trains_is_refused(tmp_path: Path, method: str) -> None:
    model = tiny.model(method=method)
    with pytest.raises(LaftError, match="--encoder-cache: this system trains the encoder"):
        use_cache(model.encoder, str(tmp_path), LIMIT, "backbone", "float32")


def test_a_backbone_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LaftError, match="--encoder-cache: needs --backbone"):
        use_cache(tiny.model(method="laft").encoder, str(tmp_path), LIMIT, "", "float32")
