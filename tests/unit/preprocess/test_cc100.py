"""CC-100's sample: exactly the smallest keys of the lines that pass, uniform, in any blocks."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.tags import MBART50

duckdb = pytest.importorskip("duckdb")
from preprocess.cc100 import filters, stream  # noqa: E402
from preprocess.cc100.sample import Sample  # noqa: E402

EN = "The committee met in the old town hall on Monday."
ZH = "委员会星期一在旧市政厅举行了会议,讨论预算。"


def reason(lang: str = "en_XX", **changed: Any) -> str:
    scripts = filters.scripts_of(lang)
    return filters.reason_sql({
        "script": ",".join(scripts), "min_chars": 10 if scripts[0] in filters.DENSE else 20,
        "max_chars": 1000, "min_letters": 0.6, "min_script": 0.5, "addresses": False, **changed,
    })  # fmt: skip


@pytest.fixture
def make(tmp_path: Path) -> Any:
    def make(lines: list[str], size: int, each: int = 20_000, seed: int = 1) -> Sample:
        """A sample of lines that come in blocks of `each`."""
        sample = Sample(size, seed, reason(), tmp_path)
        for start in range(0, len(lines), each):
            sample.add("\n".join(lines[start : start + each]).encode())
        sample.cut()
        return sample

    return make


def kept(sample: Sample) -> list[str]:
    return list(sample.sentences(0, sample.rows))


def text(count: int) -> list[str]:
    """Lines that end in their number, between blank, short, repeated ones and addresses."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("etaoinsh"), n)) for n in rng.integers(3, 9, 500)]
    lines = []
    for n, (a, b, c) in enumerate(rng.integers(0, 500, (count, 3)).tolist()):
        line = f"{words[a]} {words[b]} lengthening {words[c]} {n}"
        special = {0: "", 7: f"no {n}", 3: f"repeated sentence {'abcdefgh'[a % 8]} of all texts",
                   11: f"{line} www.example.com"}  # fmt: skip
        lines.append(special.get(n % 25, line))
    return lines


def key(line: str) -> int:
    return int.from_bytes(hashlib.md5(f"1:{line}".encode()).digest()[8:], "little")


@pytest.mark.parametrize("each", [700, 20_000])
def test_the_sample_is_the_smallest_keys(make: Any, each: int) -> None:
    """Against sorting all distinct lines that pass; a larger sample has looked at all lines."""
    lines, size = text(60_000), 300
    sample = make([f"\t {line}\r" for line in lines], size, each)
    passing = [x for x in set(lines) if len(x) >= 20 and "www." not in x]
    assert kept(sample) == sorted(passing, key=key)[:size]
    assert sample.lines == 60_000 and sample.reasons.total() < 50_000
    everything = make(lines, 60_000, each)
    assert everything.reasons == {
        "blank": 2400, "too short": 2400, "web address": 2400, "kept": 52_800,
    }  # fmt: skip
    assert everything.passing() == everything.rows == len(passing)
    assert sample.passing() == pytest.approx(len(passing), rel=3 / size**0.5)


def test_the_sample_is_uniform(make: Any) -> None:
    """Chi-square over places in the text; a quarter less of the second half is noticed."""
    lines = text(60_000)
    there = np.histogram([n for n in range(60_000) if n % 25 not in (0, 3, 7, 11)], 40)[0]

    def p_value(drawn: list[int]) -> float:
        share = len(drawn) / there.sum()
        drawn_there = np.histogram(drawn, 40, (0, 60_000))[0]
        statistic = ((drawn_there - there * share) ** 2 / (there * share)).sum() / (1 - share)
        return float(scipy.stats.chi2.sf(statistic, 39))

    samples = []
    for seed in (1, 2, 3):
        last = [line.rpartition(" ")[2] for line in kept(make(lines, 6000, seed=seed))]
        samples.append([int(word) for word in last if word.isdigit()])
    assert all(p_value(drawn) > 0.001 for drawn in samples)
    assert len(set(samples[0]) & set(samples[1])) < 1100  # 6000 * 6000 / 50,400 = 714 by chance
    assert p_value([n for n in samples[0] if n < 30_000 or n % 4]) < 1e-6


def test_what_is_held_is_bounded(tmp_path: Path) -> None:
    sample = Sample(1000, 1, reason(), tmp_path)
    for start in range(0, 100_000, 10_000):
        sample.add("\n".join(f"{EN} {n}" for n in range(start, start + 10_000)).encode())
        assert sample.rows <= 21_000


@pytest.mark.parametrize(
    ("lang", "line", "expected"),
    [
        ("en_XX", EN, "kept"),
        ("en_XX", "Nineteen characters", "too short"),
        ("en_XX", "Twenty characters it", "kept"),
        ("en_XX", "word " * 200, "kept"),
        ("en_XX", "words " * 167, "too long"),
        ("en_XX", EN.encode() + b" \xff", "damaged characters"),
        ("en_XX", EN + "\0", "damaged characters"),
        ("en_XX", EN.replace(" ", "\t"), "damaged characters"),
        ("en_XX", EN + "\u2028 It rose.", "damaged characters"),
        ("en_XX", EN + " http://a.example/b", "web address"),
        ("en_XX", "Tel. 0049 30 1234567 / 0049 30 1234568", "few letters"),
        ("en_XX", "Комитет собрался в понедельник в ратуше", "other script"),
        ("ru_RU", "Комитет собрался в понедельник в ратуше", "kept"),
        ("fr_XX", "Le comite\u0301 s'est re\u0301uni a\u0300 la mairie", "kept"),
        ("zh_CN", ZH, "kept"),
        ("zh_CN", "委员会星期一开会", "too short"),
        ("ko_KR", ZH, "other script"),
        ("ja_XX", "コーヒーを飲みながら会議をした。", "kept"),
        ("th_TH", "คณะกรรมการประชุมกันที่ศาลากลางเก่าเมื่อวันจันทร์", "kept"),
        ("fa_IR", "کمیته روز دوشنبه در ساختمان قدیمی می‌نشیند.", "kept"),
    ],
)
def test_filters(tmp_path: Path, lang: str, line: str | bytes, expected: str) -> None:
    sample = Sample(9, 1, reason(lang), tmp_path)
    sample.add(line if isinstance(line, bytes) else line.encode())
    assert sample.reasons == {expected: 1}


def test_every_language_has_its_script(tmp_path: Path) -> None:
    for tag in MBART50:  # each of them DuckDB knows too
        Sample(9, 1, reason(tag), tmp_path).add(EN.encode())
    with pytest.raises(LaftError, match=r"--lang eo_XX: .* --script"):
        filters.scripts_of("eo_XX")
    with pytest.raises(LaftError, match="Klingonese"):
        Sample(9, 1, reason(script="Klingonese"), tmp_path).add(EN.encode())


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_blocks_are_whole_lines_and_bounded(size: int) -> None:
    """A line beyond the limit loses its end only, whatever the blocks."""
    lines = [b"one", b"", b"x" * 500, b"\xc3\xa9t\xc3\xa9", b"", b"last"]
    parts = list(stream.blocks(io.BytesIO(b"\n".join(lines)), size, 50))
    joined = b"\n".join(parts).split(b"\n")
    assert [line[:50] for line in joined] == [line[:50] for line in lines]
    assert max(map(len, parts)) <= size + 50
