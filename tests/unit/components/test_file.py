"""The components file: what is written is read, and what is wrong is refused by name."""

import json
import pickle
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from laft_fairseq.components.file import STATISTICS, TENSORS, load, merge, save
from laft_fairseq.errors import LaftError
from laft_fairseq.method.language_components import ComponentStatistics
from laft_fairseq.method.removal import SCALINGS
from tests import tiny

D, K = 16, 3
FINGERPRINT = "f00d"


def statistics(seed, n=50, d=D):
    generator = torch.Generator().manual_seed(seed)
    shard = ComponentStatistics.zeros(d)
    shard.update(1 + torch.randn(n, d, generator=generator) * torch.linspace(3, 0.5, d))
    return shard


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "components.safetensors"
    save(file, {"en_XX": statistics(0), "fr_XX": statistics(1)}, K, FINGERPRINT)
    return file


def edit(path, metadata=None, drop=(), **tensors):
    """Write the file anew with some metadata and tensors changed (`__` stands for the dot)."""
    with safe_open(path, "pt") as handle:
        kept = handle.metadata()
    held = {key: tensor.clone() for key, tensor in load_file(path).items() if key not in drop}
    held |= {key.replace("__", "."): tensor for key, tensor in tensors.items()}
    kept |= metadata or {}
    save_file(held, path, {key: value for key, value in kept.items() if value is not None})


def refused(path, *words, **options):
    """Assert that `load` ends in one line with the file's path and these words."""
    with pytest.raises(LaftError) as caught:
        load(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    for word in (str(path), "laft components", *words):
        assert word in message


# --- writing and reading -----------------------------------------------------------------


def test_what_is_saved_is_loaded(path):
    held = load(path, with_statistics=True)
    assert (held.path, held.fingerprint, held.d, held.k) == (path, FINGERPRINT, D, K)
    assert list(held.languages) == ["en_XX", "fr_XX"]
    for seed, tag in enumerate(held.languages):
        source, language = statistics(seed), held.select(tag)
        c, values = source.components(K)
        assert torch.equal(language.components, c)
        assert language.singular_values == values[:K].tolist()
        assert language.count == language.statistics.count == 50
        for scaling in SCALINGS:
            assert torch.equal(language.mean_removed[scaling], source.mean_removed(c, scaling))
        for name in STATISTICS:
            assert torch.equal(getattr(language.statistics, name), getattr(source, name))
    with safe_open(path, "pt") as handle:
        keys, metadata = set(handle.keys()), handle.metadata()
    assert keys == {f"{name}.{tag}" for name in TENSORS for tag in held.languages}
    assert metadata["source_tag"] == "shown" and "control" not in metadata
    assert json.loads(metadata["counts"]) == {"en_XX": 50, "fr_XX": 50}


def test_equal_content_is_equal_bytes(path, tmp_path):
    """The library writes metadata in another order each time; such files are read as well."""
    again = tmp_path / "again"
    for _ in range(5):
        save(again, {"en_XX": statistics(0), "fr_XX": statistics(1)}, K, FINGERPRINT)
        assert again.read_bytes() == path.read_bytes()
    length = int.from_bytes(path.read_bytes()[:8], "little")
    metadata = json.loads(path.read_bytes()[8 : 8 + length])["__metadata__"]
    assert length % 8 == 0
    assert list(metadata) == sorted(metadata)
    save_file(load_file(path), again, metadata)
    assert load(again).fingerprint == FINGERPRINT


def test_only_what_is_asked_for_is_read(path):
    held = load(path, langs=["fr_XX"])
    assert list(held.languages) == ["fr_XX"]
    assert held.select("fr_XX").statistics is None
    edit(path, gram__fr_XX=torch.zeros(D, D).double(), components__en_XX=torch.zeros(D, K))
    again = load(path, langs=["fr_XX"])
    assert torch.equal(again.select("fr_XX").components, held.select("fr_XX").components)
    refused(path, "fr_XX", "gram", langs=["fr_XX"], with_statistics=True)


def test_saving_is_whole_or_not_at_all(path):
    before = path.read_bytes()
    with pytest.raises(LaftError, match=r"components\.safetensors: language fr_XX: 2 sentences"):
        save(path, {"en_XX": statistics(0), "fr_XX": statistics(1, n=2)}, K, FINGERPRINT)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_what_is_loaded_does_not_change_with_the_file(path):
    held = load(path).select("fr_XX").components
    before = held.tolist()
    content = path.read_bytes()
    with path.open("r+b") as file:
        file.write(bytes(len(content)))
    assert held.tolist() == before


def test_what_cannot_be_saved_is_refused(tmp_path):
    file = tmp_path / "c.safetensors"
    with pytest.raises(LaftError, match=re.escape(f"{file}: expected languages of one width")):
        save(file, {}, K, FINGERPRINT)
    with pytest.raises(LaftError, match=r"one width, got \[8, 16\]"):
        save(file, {"en_XX": statistics(0), "fr_XX": statistics(0, d=8)}, K, FINGERPRINT)
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").touch()
    for target in (tmp_path / "none" / "c", tmp_path / "folder", tmp_path / "text" / "c"):
        with pytest.raises(LaftError, match=re.escape(f"{target}: cannot be written")):
            save(target, {"en_XX": statistics(0)}, K, FINGERPRINT)
    assert sorted(left.name for left in tmp_path.iterdir()) == ["folder", "text"]


# --- what load refuses -------------------------------------------------------------------


def truncated(share):
    return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (Path.unlink, "no such components file"),
        *((truncated(share), "truncated") for share in (0, 0.001, 0.5, 0.999)),
        (lambda path: path.write_bytes(pickle.dumps(tiny.Harmful(path))), "not a safetensors file"),
        (lambda path: path.write_text("components of fr_XX\n" * 100), "not a safetensors file"),
        (lambda path: save_file({"model": torch.ones(3)}, path), "not of components"),
        (lambda path: save_file({"m": torch.ones(3)}, path, {"format": "pt"}), "not of components"),
    ],
)
def test_damaged_files(path, damage, words):
    damage(path)
    refused(path, words)


def test_one_changed_bit(path):
    with safe_open(path, "pt") as handle:
        original = handle.get_tensor("mean_scaled.fr_XX").numpy().tobytes()
    content = bytearray(path.read_bytes())
    content[content.index(original) + 5] ^= 1
    path.write_bytes(content)
    refused(path, "fr_XX", "mean_scaled", "corrupt")


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"version": "2"}, ["version 2", "reads 1"]),
        ({"fingerprint": None}, ["fingerprint"]),
        ({"counts": '{"en_XX"'}, ["metadata"]),
        ({"singular_values": "{}"}, ["en_XX"]),
        ({"shard": '{"index": 1, "of": 2}'}, ["a part of the text"]),
        ({"k": "4"}, ["en_XX", "(16, 3)", "(16, 4)"]),
    ],
)
def test_wrong_metadata(path, metadata, words):
    edit(path, metadata)
    refused(path, *words)


@pytest.mark.parametrize("name", [name for name in TENSORS if name != "unit_gram"])
def test_missing_tensor(path, name):
    edit(path, drop=[f"{name}.fr_XX"])
    refused(path, "fr_XX", f"{name} missing", with_statistics=True)


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.zeros(D, K), "all zero"),
        (torch.full((D, K), float("nan")), "not finite"),
        (torch.eye(D)[:, : K + 1].contiguous(), "(16, 4)"),
        (torch.eye(D)[:, :K].contiguous().half(), "float16"),
        (torch.eye(D)[:, :K].contiguous(), "wrong checksum"),
    ],
)
def test_wrong_components(path, tensor, words):
    edit(path, components__fr_XX=tensor)
    refused(path, "fr_XX", words)


def test_components_that_are_not_orthonormal(path, monkeypatch):
    monkeypatch.setattr(
        ComponentStatistics, "components", lambda self, k: (torch.ones(D, k), torch.ones(D))
    )
    save(path, {"fr_XX": statistics(1)}, K, FINGERPRINT)
    refused(path, "fr_XX", "not orthonormal")


def test_unknown_language(path):
    words = ("zh_CN", "en_XX, fr_XX")
    refused(path, *words, langs=["en_XX", "zh_CN"])
    with pytest.raises(LaftError) as caught:
        load(path).select("zh_CN")
    assert all(word in str(caught.value) for word in (str(path), *words))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fingerprint": "beef"}, ["another backbone", "f00d", "beef"]),
        ({"d": 1024}, ["another backbone", "16", "1024"]),
        ({"k": 6}, ["3 components", "--num-components 6"]),
    ],
)
def test_another_backbone_k_or_width(path, options, words):
    held = load(path)
    held.expect(fingerprint=FINGERPRINT, k=K, d=D)
    with pytest.raises(LaftError) as caught:
        held.expect(**options)
    assert all(word in str(caught.value) for word in (str(path), *words))


# --- merging -----------------------------------------------------------------------------


def test_merged_parts_equal_one_pass_and_languages_unite(tmp_path):
    a, b, out = (tmp_path / name for name in ("a", "b", "out"))
    save(a, {"en_XX": statistics(0), "fr_XX": statistics(1)}, K, FINGERPRINT)
    save(b, {"fr_XX": statistics(2, n=70), "zh_CN": statistics(3)}, K, FINGERPRINT)
    whole = statistics(1)
    whole.merge(statistics(2, n=70))
    merge([a, b], out)
    held = load(out, with_statistics=True)
    assert {tag: entry.count for tag, entry in held.languages.items()} == {
        "en_XX": 50,
        "fr_XX": 120,
        "zh_CN": 50,
    }
    assert torch.equal(held.select("fr_XX").statistics.gram, whole.gram)
    assert torch.equal(held.select("fr_XX").components, whole.components(K)[0])
    assert not torch.allclose(held.select("fr_XX").components, statistics(1).components(K)[0])
    assert torch.equal(held.select("en_XX").components, statistics(0).components(K)[0])
    merge([a, b], a)  # onto one of the parts
    assert load(a).select("fr_XX").count == 120


@pytest.mark.parametrize(
    ("languages", "k", "fingerprint"),
    [
        ({"fr_XX": statistics(2)}, K, "beef"),
        ({"fr_XX": statistics(2)}, K + 1, FINGERPRINT),
        ({"fr_XX": statistics(2, d=8)}, K, FINGERPRINT),
    ],
)
def test_parts_that_do_not_fit_are_refused(path, tmp_path, languages, k, fingerprint):
    other, out = tmp_path / "other", tmp_path / "out"
    save(other, languages, k, fingerprint)
    with pytest.raises(LaftError, match=re.escape(str(other))):
        merge([path, other], out)
    assert not out.exists()


def test_what_cannot_be_merged_is_refused(path, tmp_path):
    copy, out = shutil.copy(path, tmp_path / "copy"), tmp_path / "out"
    for files, message in (
        ([path, path], r"components\.safetensors: language \w+: the same statistics as another"),
        ([path, copy], r"copy: language \w+: the same statistics as another"),
        ([path, tmp_path / "none"], "no such components file"),
    ):
        with pytest.raises(LaftError, match=message):
            merge(files, out)
    assert not out.exists()


DEEP = "[" * 100_000
MISTYPED = {
    "counts": ["{}", "[]", "null", DEEP, '{"en_XX": 0}',
               '{"en_XX": "20"}', '{"en_XX": [1]}', '{"en_XX": -1}',
               '{"en_XX": 1' + "0" * 400 + "}"],
    "singular_values": ["1", DEEP, '{"en_XX": 1}', '{"en_XX": [null]}', '{"en_XX": [NaN]}'],
    "checksums": ["[]", DEEP, '{"gram.en_XX": "x"}'],
    "control": ["5", "[]", "{}", DEEP, '{"kind": 1}', '{"kind": "x", "of": 5}',
                '{"kind": "x", "gains": []}', '{"kind": "x", "gains": {"en_XX": 5}}',
                '{"kind": "x", "gains": {"en_XX": {"scaled": "q"}}}', '{"kind": "x", "seed": "a"}'],
    "d": ["", "x", "1" * 5000],
    "k": ["-1", "1e3"],
    "source_tag": ["seen"],
    "tag_layout": ["infix"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in MISTYPED.items() for value in values]
)
def test_mistyped_and_deeply_nested_metadata_is_one_line(
    path: Path, tmp_path: Path, key: str, value: str
) -> None:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"][key] = value
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    with pytest.raises(LaftError, match=r"^[^\n]*wrong\.safetensors: [^\n]{1,400}$"):
        load(wrong, with_statistics=True)
