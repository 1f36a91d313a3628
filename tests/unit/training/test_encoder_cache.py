import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from laft_fairseq.errors import LaftError
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.training import encoder_cache
from laft_fairseq.training.encoder_cache import (
    HEADER,
    EncoderCache,
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


def got(cache: EncoderCache, keys: list[bytes]) -> list[Tensor | None]:
    lengths = {key: len(vectors) for key, vectors in zip(*texts(), strict=True)}
    return cache.get(keys, [lengths[key] for key in keys])


def equal(actual: list[Tensor | None], expected: list[Tensor]) -> bool:
    pairs = zip(actual, expected, strict=True)
    return all(a is not None and torch.equal(a.float(), b) for a, b in pairs)


def there(actual: list[Tensor | None]) -> list[bool]:
    """Which of the texts were found."""
    return [vectors is not None for vectors in actual]


def test_what_was_put_is_there_for_this_process_and_the_next(tmp_path: Path) -> None:
    keys, vectors = texts()
    cache = EncoderCache(tmp_path / "c", D, LIMIT)
    assert not any(there(got(cache, keys)))
    cache.put(keys, vectors)
    assert equal(got(cache, keys), vectors)
    assert equal(got(EncoderCache(tmp_path / "c", D, LIMIT), keys[::-1]), vectors[::-1])


def test_two_processes_fill_one_folder(tmp_path: Path) -> None:
    keys, vectors = texts()
    first, second = (EncoderCache(tmp_path / "c", D, LIMIT) for _ in range(2))
    assert not any(there(got(first, keys[:1])) + there(got(second, keys[1:])))
    first.put(keys[:1], vectors[:1])
    second.put(keys[1:], vectors[1:])
    assert equal(got(first, keys), vectors)
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
    assert there(got(cache, keys)) == [True, False, False]
    cache.put(keys, vectors)
    assert there(got(cache, keys)) == [True, False, False]
    assert equal(got(cache, keys[:1]), vectors[:1])


def test_a_file_that_cannot_be_read_is_a_text_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, vectors = texts()
    cache = EncoderCache(tmp_path / "c", D, LIMIT)
    cache.put(keys, vectors)

    def fail(*unused: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(encoder_cache.os, "preadv", fail)
    assert got(cache, keys) == [None] * 3


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
    assert there(got(cache, keys)) == [True, True, False]
    assert equal(got(cache, keys[:2]), vectors[:2])
    cache.put(keys, vectors)
    assert equal(got(cache, keys), vectors)


@pytest.mark.parametrize("tokens", [0, 1, 3, 10**6])
def test_a_damaged_length_is_a_text_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokens: int
) -> None:
    """It takes no memory, and no other text's vectors, whatever the file holds behind it."""
    keys, vectors = texts()
    EncoderCache(tmp_path / "c", D, LIMIT).put(keys, vectors)
    (part,) = tmp_path.glob("c/*.cache")
    content = part.read_bytes()
    second = HEADER.size + D * 2  # where it begins
    key, _, checksum = HEADER.unpack_from(content, second)
    damaged = HEADER.pack(key, tokens, checksum)
    part.write_bytes(content[:second] + damaged + content[second + HEADER.size :])
    with part.open("ab") as file:
        file.truncate(10**6 * D * 2 + 10**4)  # in which the largest length fits
    monkeypatch.setattr(encoder_cache, "bytearray", small_bytearray, raising=False)
    cache = EncoderCache(tmp_path / "c", D, LIMIT)
    found = got(cache, keys)
    assert there(found)[:2] == [True, False] and equal(found[:1], vectors[:1])


def small_bytearray(size: int) -> bytearray:
    assert size <= 3 * D * 2
    return bytearray(size)


def test_the_folder_may_be_deleted_at_any_time(tmp_path: Path) -> None:
    keys, vectors = texts()
    cache = EncoderCache(tmp_path / "c", D, LIMIT)
    cache.put(keys[:2], vectors[:2])
    shutil.rmtree(tmp_path / "c")
    assert equal(got(cache, keys[:2]), vectors[:2])
    cache.put(keys[2:], vectors[2:])
    assert not any(there(got(EncoderCache(tmp_path / "c", D, LIMIT), keys)))


def on_backbone(
    root: Path, name: str = "backbone", limit: int = LIMIT, autocast: str = "none", **options: Any
) -> LAFTMBart:
    """A laft in training whose encoder is kept below ``root``, as that of a backbone."""
    model = tiny.model(**options).train()
    model.fingerprint, model.from_backbone = name, set(model.backbone_parameters())
    use_cache(model, str(root), limit, autocast)
    return model


def test_the_limit_is_of_all_backbones_together(tmp_path: Path) -> None:
    keys, vectors = texts()
    EncoderCache(tmp_path / "a", D, LIMIT).put(keys[:1], vectors[:1])
    one = D * 2 + HEADER.size
    cache = on_backbone(tmp_path, limit=100 + one).encoder.cache
    assert cache is not None and cache.limit == 100


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("a file")
    with pytest.raises(LaftError, match=r"c: --encoder-cache cannot be made \(File exists\)"):
        EncoderCache(tmp_path / "c", D, LIMIT)


def test_texts_differ_by_every_token_and_their_length() -> None:
    keys = {key_of(torch.tensor(t)) for t in ([5], [5, 6], [6, 5], [5, 6, 1], [5 + 2**31 - 10])}
    assert len(keys) == 5


SOURCES = ["▁w1 c1 </s> [en_XX]", "▁w1 c1 ▁w2 c2 ▁w3 c3 </s> [en_XX]"]


def test_the_encoder_runs_once_an_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = tiny.rows(SOURCES)
    plain = tiny.model().train().encoder.forward_backbone(tokens)
    encoder = on_backbone(tmp_path).encoder
    filling = encoder.forward_backbone(tokens)
    monkeypatch.setattr(type(encoder), "forward_embedding", None)  # it must not be needed
    reading = encoder.forward_backbone(tokens)
    narrow = encoder.forward_backbone(tiny.rows(SOURCES[:1]))
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
    model = on_backbone(tmp_path).to(dtype)
    filling, reading = (model.encoder(tiny.rows(SOURCES))["encoder_out"][0] for _ in range(2))
    assert filling.dtype == reading.dtype == dtype
    assert torch.equal(filling, reading)


def test_options_that_no_tensor_shows_have_another_folder(tmp_path: Path) -> None:
    shapes = ({}, {"encoder_attention_heads": 4}, {"activation_fn": "relu"},
              {"no_scale_embedding": True}, {"mask_source_tag": True},
              {"autocast": "bf16"}, {"name": "another"})  # fmt: skip
    for options in shapes:
        on_backbone(tmp_path, **options)
    assert len(list(tmp_path.iterdir())) == len(shapes)


def test_of_a_batch_only_what_is_missing_is_encoded(tmp_path: Path) -> None:
    tokens = tiny.rows([*SOURCES, "▁w4 </s> [fr_XX]"])
    expected = tiny.model().train().encoder.forward_backbone(tokens)["encoder_out"][0]
    encoder = on_backbone(tmp_path).encoder
    encoder.forward_backbone(tokens[1:2])
    sizes: list[int] = []
    encoder.layers[0].register_forward_pre_hook(
        lambda layer, inputs: sizes.append(inputs[0].size(1))
    )
    actual = encoder.forward_backbone(tokens)["encoder_out"][0]
    encoder.forward_backbone(tokens)
    assert sizes == [2]
    kept = tokens.ne(1).T
    assert torch.allclose(actual[kept], expected[kept], rtol=2**-7, atol=1e-4)


def test_evaluation_computes(tmp_path: Path) -> None:
    on_backbone(tmp_path).eval().encoder.forward_backbone(tiny.rows(SOURCES))
    assert not list(tmp_path.rglob("*.cache"))


@pytest.mark.parametrize("method", ["mbart_full", "mbart_enc_top2", "adapter", "tm_adv"])
def test_an_encoder_that_trains_is_refused(tmp_path: Path, method: str) -> None:
    with pytest.raises(LaftError, match=r"--encoder-cache: .* trains the encoder"):
        on_backbone(tmp_path, method=method)


def test_an_encoder_that_is_not_the_backbones_is_refused(tmp_path: Path) -> None:
    """Without a backbone, or of a checkpoint whose encoder another system has trained."""
    with pytest.raises(LaftError, match="--encoder-cache: needs --backbone"):
        on_backbone(tmp_path, name="")
    model = on_backbone(tmp_path)
    model.from_backbone -= {"decoder.layers.0.fc1.weight"}
    use_cache(model, str(tmp_path), LIMIT, "none")
    model.from_backbone -= {"encoder.layers.0.fc1.weight"}
    with pytest.raises(LaftError, match="--encoder-cache: needs --backbone"):
        use_cache(model, str(tmp_path), LIMIT, "none")
