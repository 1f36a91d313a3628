"""CC-100's sample: exactly the smallest keys of the lines that pass, uniform, in any blocks."""

import gzip
import importlib
import lzma
import shutil
import sys
import zlib
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.stats

from laft_fairseq.languages.scripts import MBART50

ROOT = Path(__file__).parents[3]
BITS = 2**64 - 1
EN = "The committee met in the old town hall on Monday."
ZH = "委员会星期一在旧市政厅举行了会议,讨论预算。"


@pytest.fixture(scope="module")
def tools() -> dict[str, ModuleType]:
    """The modules of `preprocess`, which its scripts import by their bare names."""
    folder = str(ROOT / "preprocess")
    sys.path.insert(0, folder)
    try:
        names = ("keys", "filters", "sample", "stream", "run")
        found = {name: importlib.import_module(f"cc100_{name}") for name in names}
        return {**found, "text_files": importlib.import_module("text_files")}
    finally:
        sys.path.remove(folder)


def fast_hash(text: bytes, seed: int) -> int:
    """FastHash64 with Python's integers, one line."""

    def mix(value: int) -> int:
        value ^= value >> 23
        value = value * 0x2127599BF4325C37 & BITS
        return value ^ value >> 47

    key = seed ^ len(text) * 0x880355F21E6D1965 & BITS
    for start in range(0, len(text), 8):
        key ^= mix(int.from_bytes(text[start : start + 8], "little"))
        key = key * 0x880355F21E6D1965 & BITS
    return mix(key)


def filters(tools: dict[str, ModuleType], lang: str = "en_XX", **changed: Any) -> Any:
    script = tools["filters"].script_of(lang)
    shortest = tools["filters"].default_min_chars(script)
    choices = {"script": script, "min_chars": shortest, "max_chars": 1000, "min_letters": 0.6,
               "min_script": 0.5, "addresses": False}  # fmt: skip
    return tools["filters"].Filters(**choices | changed)


def sampler(tools: dict[str, ModuleType], size: int, seed: int = 1, **more: Any) -> Any:
    kind = {"loosely": False, "first": False, **more}
    return tools["sample"].Sampler(filters(tools), size, seed, **kind)


def offer(target: Any, lines: list[str], each: int) -> None:
    """Give the lines in blocks of `each`."""
    for start in range(0, len(lines), each):
        target.take("".join(f"{line}\n" for line in lines[start : start + each]).encode())


def text(count: int, seed: int = 0) -> list[str]:
    """Lines that end in their number, between blank, short, repeated ones and addresses."""
    rng = np.random.default_rng(seed)
    words = ["".join(rng.choice(list("etaoinsh"), n)) for n in rng.integers(3, 9, 500)]
    lines = []
    for n, (a, b, c) in enumerate(rng.integers(0, 500, (count, 3)).tolist()):
        line = f"{words[a]} {words[b]} lengthening {words[c]} {n}"
        special = {0: "", 7: f"no {n}", 3: f"repeated sentence {'abcdefgh'[a % 8]} of all texts",
                   11: f"{line} www.example.com"}  # fmt: skip
        lines.append(special.get(n % 25, line))
    return lines


def numbers(lines: Any) -> list[int]:
    """The numbers at the lines' ends; the repeated ones have none."""
    last = [line.rpartition(b" ")[2] for line in lines]
    return [int(word) for word in last if word.isdigit()]


def test_keys_are_fasthash64_of_each_line(tools: dict[str, ModuleType]) -> None:
    """Against one line at a time, all lengths up to 70 and two long ones, in a mixed order."""
    rng = np.random.default_rng(2)
    sizes = [*rng.permutation(71).tolist(), 1000, 4097, 0, 0, 8, 8]
    lines = [rng.integers(33, 256, size).astype(np.uint8).tobytes() for size in sizes]
    block = b"".join(line + b"\n" for line in lines)
    keys = tools["keys"].line_keys(block, *tools["keys"].line_bounds(block), 99)
    assert keys.tolist() == [fast_hash(line, 99) for line in lines]
    assert len(set(keys.tolist())) == len(set(lines))


def test_bounds_leave_white_space_out(tools: dict[str, ModuleType]) -> None:
    block = b"one\n\n  two \t\r\n\r\n \x0b \nthree four \nf\n"
    starts, ends = tools["keys"].line_bounds(block)
    found = [block[a:b] for a, b in zip(starts, ends, strict=True)]
    assert found == [b"one", b"", b"two", b"", b"", b"three four", b"f"]


def test_what_is_held_is_bounded(tools: dict[str, ModuleType]) -> None:
    """Between two blocks: the sample, and an eighth of it or 1,000 lines; of 60,000 that pass."""
    found, held = sampler(tools, 16_000), []
    for start in range(0, 60_000, 1000):
        offer(found, [f"{EN} {n}" for n in range(start, start + 1000)], 1000)
        held.append(len(found))
    assert max(held) <= 16_000 + 2000 and len(set(held[-9:])) > 1
    found.settle()
    assert len(found.held) == len(found.keys) == 16_000


@pytest.mark.parametrize("each", [7, 1000, 20_000])
def test_the_sample_is_the_smallest_keys(tools: dict[str, ModuleType], each: int) -> None:
    """Against sorting all distinct lines that pass, and the census against counting them all."""
    lines, size = text(20_000), 300
    found = sampler(tools, size)
    offer(found, lines, each)
    found.settle()
    seed = tools["text_files"].stable_hash("cc100", "1")
    key = {line: fast_hash(line.encode(), seed) for line in set(lines)}
    passing = [x for x in key if len(x) >= 20 and "www." not in x]
    assert [line.decode() for line in found.held] == sorted(passing, key=key.__getitem__)[:size]
    assert found.threshold == sorted(key[line] for line in passing)[size - 1]
    assert (found.lines, found.blank) == (20_000, 800)

    counts, share = found.census.below(found.threshold)
    assert share * 2**64 <= found.threshold < 2 * share * 2**64
    low = [line for line in lines if line and key[line] < share * 2**64]
    kept = {line for line in low if len(line) >= 20 and "www." not in line}
    assert counts["too short"] == sum(len(line) < 20 for line in low)
    assert counts["web address"] == sum("www." in line for line in low)
    assert counts["kept"] == len(kept)
    assert sum(counts.values()) == len(low)
    assert counts["duplicate"] == len(low) - len(kept) - counts["too short"] - counts["web address"]
    assert found.passing() == pytest.approx(len(passing), rel=3 / size**0.5)


def chi_square(tools: dict[str, ModuleType], drawn: list[int], lines: list[str]) -> float:
    """The p-value of draws without replacement being uniform over 40 stretches of the text."""
    passing = [n for n, line in enumerate(lines) if n % 25 not in (0, 3, 7, 11)]
    there = np.histogram(passing, 40, (0, len(lines)))[0]
    found = np.histogram(drawn, 40, (0, len(lines)))[0]
    share = len(drawn) / len(passing)
    statistic = ((found - there * share) ** 2 / (there * share)).sum() / (1 - share)
    return float(scipy.stats.chi2.sf(statistic, 39))


def test_the_sample_is_uniform(tools: dict[str, ModuleType]) -> None:
    """Chi-square over places, three seeds; a quarter less of the second half is noticed."""
    lines = text(60_000)
    samples = []
    for seed in (1, 2, 3):
        found = sampler(tools, 6000, seed)
        offer(found, lines, 20_000)
        found.settle()
        samples.append(numbers(found.held))
    assert all(chi_square(tools, drawn, lines) > 0.001 for drawn in samples)
    assert len(set(samples[0]) & set(samples[1])) < 1100  # 6000 * 6000 / 50,400 = 714 by chance
    biased = [n for n in samples[0] if n < 30_000 or n % 4]
    assert chi_square(tools, biased, lines) < 1e-6


def test_the_first_that_pass(tools: dict[str, ModuleType]) -> None:
    lines = text(3000)
    found = sampler(tools, 500, first=True)
    for start in range(0, 3000, 200):
        if not found.full:
            offer(found, lines[start : start + 200], 200)
    found.settle()
    passing = dict.fromkeys(line for line in lines if len(line) >= 20 and "www." not in line)
    assert {line.decode() for line in found.held} == set(list(passing)[:500])
    last = lines.index(list(passing)[499])
    assert found.lines == last + 1
    counts, share = found.census.below(found.threshold)
    assert share == 1 and counts["kept"] == 500
    assert sum(counts.values()) + found.blank == found.lines


def test_loose_duplicates_keep_the_first(tools: dict[str, ModuleType]) -> None:
    lines = [EN, EN.upper(), EN.replace(" ", "  ") + " ", EN[:-1], EN.replace("old", "new"),
             "Le comité s'est réuni le 19 à la mairie", "Le comité s'est réuni le 20 à la mairie!",
             "LE COMITÉ s'est réuni le 20 à la mairie"]  # fmt: skip
    exact, loosely = sampler(tools, 100), sampler(tools, 100, loosely=True)
    for target in (exact, loosely):
        offer(target, lines, 3)
        target.settle()
    assert len(exact) == 8
    kept = [lines[0], lines[4], lines[5], lines[7]]  # É is not ASCII
    assert sorted(line.decode() for line in loosely.held) == sorted(kept)


@pytest.mark.parametrize(
    ("lang", "line", "reason"),
    [
        ("en_XX", EN, "kept"),
        ("en_XX", "Nineteen characters", "too short"),
        ("en_XX", "Twenty characters it", "kept"),
        ("en_XX", "word " * 200, "kept"),
        ("en_XX", "words " * 167, "too long"),
        ("en_XX", "é" * 3000, "too long"),
        ("en_XX", EN.encode() + b" \xff", "not UTF-8"),
        ("en_XX", EN + "\x07", "control characters"),
        ("en_XX", EN.replace(" ", "\t"), "control characters"),
        ("en_XX", EN + "\u2028 It rose.", "control characters"),
        ("en_XX", EN + " \ufffd", "control characters"),
        ("en_XX", EN + " http://a.example/b", "web address"),
        ("en_XX", "Tel. 0049 30 1234567 / 0049 30 1234568", "few letters"),
        ("en_XX", "Комитет собрался в понедельник в ратуше", "other script"),
        ("ru_RU", "Комитет собрался в понедельник в ратуше", "kept"),
        ("fr_XX", "Le comite\u0301 s'est re\u0301uni a\u0300 la mairie", "kept"),
        ("zh_CN", ZH, "kept"),
        ("zh_CN", "委员会星期一开会", "too short"),
        ("zh_CN", EN, "other script"),
        ("ja_XX", "コーヒーを飲みながら会議をした。", "kept"),
        ("hi_IN", "समिति की बैठक सोमवार को पुराने भवन में हुई।", "kept"),
        ("th_TH", "คณะกรรมการประชุมกันที่ศาลากลางเก่าเมื่อวันจันทร์", "kept"),
        ("fa_IR", "کمیته روز دوشنبه در ساختمان قدیمی می‌نشیند.", "kept"),
    ],
)
def test_filters(tools: dict[str, ModuleType], lang: str, line: str | bytes, reason: str) -> None:
    """Beside other lines, damaged ones among them, each gets its own reason."""
    raw = line if isinstance(line, bytes) else line.strip().encode()
    own = filters(tools, lang)
    found = [tools["filters"].REASONS[n] for n in own.judge([b"\xff", raw, b"x", raw])]
    assert found == ["not UTF-8", reason, "too short", reason]


def test_filters_can_be_turned_off(tools: dict[str, ModuleType]) -> None:
    off = filters(tools, min_chars=1, max_chars=16_000, min_letters=0.0, min_script=0.0,
                  addresses=True)  # fmt: skip
    lines = ["1", "www.example.com", ZH, "a" * 16_000, "a" * 16_001, "é" * 16_000]
    assert off.judge([line.encode() for line in lines]).tolist() == [0, 0, 0, 0, 2, 0]


def test_every_language_has_its_script(tools: dict[str, ModuleType]) -> None:
    assert set(tools["filters"].SCRIPTS) - {"tl"} == MBART50 - {"tl"}
    assert Counter(tools["filters"].SCRIPTS.values())["Cyrillic"] == 5
    with pytest.raises(tools["text_files"].DataError, match=r"--lang eo_XX: .* --script"):
        tools["filters"].script_of("eo_XX")
    with pytest.raises(tools["text_files"].DataError, match="Klingonese: no such script"):
        _ = filters(tools, script="Klingonese").table


STORED = {
    "plain.txt": lambda data: data,
    "two-streams.xz": lambda data: lzma.compress(data[:5000]) + lzma.compress(data[5000:]),
    "text.gz": gzip.compress,
}


@pytest.mark.parametrize("programs", [True, False])
@pytest.mark.parametrize("name", STORED)
def test_stored_texts_are_read_whole(
    tools: dict[str, ModuleType], tmp_path: Path, name: str, programs: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """By the programs and by Python; in blocks of whole lines, the last one ended."""
    if programs and not (shutil.which("xz") and shutil.which("gzip")):
        pytest.skip("needs xz and gzip")
    monkeypatch.setattr(tools["stream"], "BLOCK", 1000)
    data = "\n".join(text(2000)).encode()
    path = tmp_path / name
    path.write_bytes(STORED[name](data))
    place = tools["stream"].Place()
    with tools["stream"].Stream(str(path), programs) as stream:
        parts = list(tools["stream"].blocks(stream))
        assert stream.position() == stream.size == path.stat().st_size
    assert b"".join(parts) == data + b"\n" and len(parts) > 50
    assert all(part.endswith(b"\n") for part in parts)

    for part in parts[:20]:
        place.advance(part)
    assert place.check == zlib.crc32(data[: place.bytes])
    with tools["stream"].Stream(str(path), programs) as stream:
        assert list(place.skip(stream))[-1] == place.bytes
        assert b"".join(tools["stream"].blocks(stream)) == b"".join(parts[20:])


@pytest.mark.parametrize("programs", [True, False])
@pytest.mark.parametrize("name", ["two-streams.xz", "text.gz"])
def test_a_cut_off_file_is_told(
    tools: dict[str, ModuleType], tmp_path: Path, name: str, programs: bool
) -> None:
    path = tmp_path / name
    path.write_bytes(STORED[name]("\n".join(text(2000)).encode())[:-1000])
    with (
        tools["stream"].Stream(str(path), programs) as stream,
        pytest.raises(tools["stream"].DamagedError, match=f"{name}: damaged, or cut off"),
    ):
        list(tools["stream"].blocks(stream))


def test_wrong_files_are_told(tools: dict[str, ModuleType], tmp_path: Path) -> None:
    wrong = {"page.xz": (b"<html>", "not an xz file"), "none.txt": (b"", "empty")}
    for name, (data, told) in wrong.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(tools["text_files"].DataError, match=f"{name}: {told}"):
            tools["stream"].Stream(str(tmp_path / name))
    with pytest.raises(tools["text_files"].DataError, match=r"nowhere\.xz: no such file"):
        tools["stream"].Stream(str(tmp_path / "nowhere.xz"))


def test_a_damaged_state_is_refused(tools: dict[str, ModuleType], tmp_path: Path) -> None:
    """A state brings back the same sampler; a lost or changed line in it is noticed."""
    state = tools["run"].State(tmp_path / "state", {"seed": 1})
    full = sampler(tools, 50)
    offer(full, text(1000), 1000)
    state.save(full, tools["stream"].Place(5, 6, 7, 8), 9.0)
    again = sampler(tools, 50)
    place, seconds = state.load(again)
    assert (place, seconds) == (tools["stream"].Place(5, 6, 7, 8), 9.0)
    assert again.held.tolist() == full.held.tolist() and again.threshold == full.threshold
    assert again.state() == full.state()

    good = state.path.read_bytes()
    lines = good.splitlines(keepends=True)
    for bad in (good[:-20], b"".join(lines[:-1]), good.replace(b"lengthening", b"Lengthening", 1),
                b"".join([lines[0], lines[2], lines[1], *lines[3:]]), b"{}\n", b""):  # fmt: skip
        state.path.write_bytes(bad)
        with pytest.raises(tools["text_files"].DataError, match=r"state: .*delete .* --work"):
            state.load(sampler(tools, 50))
    state.path.write_bytes(good)
    with pytest.raises(
        tools["text_files"].DataError, match="begun otherwise: seed was 1, now is 2"
    ):
        tools["run"].State(state.path, {"seed": 2}).load(sampler(tools, 50))
