"""The recipes of the paper's data, on files laid out as the XNLG project ships them, to a score.

They are made of the real texts that ship with the repository; `LAFT_XQUAD=FOLDER`, a folder with
xquad.{en,zh}.jsonl.xz, makes the questions of XQuAD instead, as in the real data set.
"""

import json
import lzma
import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from laft_fairseq.scoring.trivial_baselines import sentences
from tests.recipes.warm import Warm

ROOT = Path(__file__).parents[2]
SPLITS = (("train", 60), ("dev", 4), ("test", 3))
SMALL = {
    "BACKBONE": "examples/mini/model",
    "ARCH": "laft_mbart_mini",
    "UPDATES": "2",
    "WARMUP": "1",
    "MAX_TOKENS": "1024",
    "UPDATE_FREQ": "1",
    "SAVE_UPDATES": "1000000",
    "VALID_ITEMS": "2",
    "BEAM": "1",
    "WORKERS": "1",
    "LRS": "1e-4",
}
WORD = r"&apos;\w+|\w+&apos;|\w+(?:[-.]\w+)*|[^\s\w]"
CHINESE = r"[a-z0-9]+(?:[-.+][a-z0-9]+)*|[\u4e00-\u9fff]{1,2}|[^\s]"


def tokenised(text: str, lang: str) -> str:
    """Lower-cased tokens, as XNLG's files have them: apostrophes escaped, Chinese in words."""
    text = text.lower().replace("’", "'").split(" ⏎ ")[0]
    if lang == "zh":
        return " ".join(re.findall(CHINESE, text))
    text = re.sub(r"(?<=\w)'(?=\w)", "&apos; " if lang == "fr" else " &apos;", text)
    return " ".join(re.findall(WORD, text))


def lay(folder: Path, lang: str, sides: str, items: Iterable[tuple[str, ...]], suffix: str) -> None:
    """Write the files of a language: `train.x.fr` and so on."""
    folder.mkdir(exist_ok=True)
    rows = iter(items)
    for split, count in SPLITS:
        part = [next(rows) for _ in range(count)]
        for side, texts in zip(sides, zip(*part, strict=True), strict=True):
            path = folder / f"{split}.{side}.{lang}{suffix}"
            lines = (f"{tokenised(text, lang)}\n" for text in texts)
            path.write_text("".join(lines), encoding="utf-8")


def descriptions(tag: str) -> list[tuple[str, ...]]:
    """Real pairs of a language that ship with the repository: description and synopsis."""
    path = ROOT / "examples" / "ddtp" / "data" / f"{tag}.test.tsv.xz"
    with lzma.open(path, "rt", encoding="utf-8") as handle:
        rows = [line.rstrip("\n").split("\t") for line in handle]
    return [(row[2], row[3]) for row in rows]


def run(warm: Warm, recipe: str, out: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **SMALL, "OUT": str(out), "PATH": warm.path(), **variables}
    return subprocess.run(
        ["bash", str(ROOT / "examples" / recipe / "run.sh")],
        env=environment, capture_output=True, text=True, check=False, cwd=out.parent,
    )  # fmt: skip


def as_laid(path: Path) -> list[str]:
    """A file's lines without spaces and escapes: what joining the tokens must not change."""
    lines = path.read_text("utf-8").splitlines()
    return ["".join(line.replace("&apos;", "'").split()) for line in lines]


def joined(path: Path) -> list[str]:
    return ["".join(line.split()) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.integration
def test_headlines_run_to_a_score(tmp_path: Path, warm: Warm) -> None:
    """LAFT, both stages, into both languages: scored as XNLG scores and by our tokens.

    A test source is empty, as may happen; a second run repeats nothing.
    """
    data, out = tmp_path / "xgiga", tmp_path / "out"
    for tag in ("en_XX", "fr_XX", "zh_CN"):
        lay(data, tag[:2], "xy", descriptions(tag), "")
    french = (data / "test.x.fr").read_text("utf-8").splitlines()
    (data / "test.x.fr").write_text("\n".join([french[0], "", french[2]]) + "\n", "utf-8")
    settings = {"XGIGA": str(data), "METHODS": "laft"}
    done = run(warm, "xgiga", out, **settings)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "fr_XX.test: 1 items with an empty side, kept" in done.stdout
    sources = (out / "raw" / "fr_XX.test.src").read_text("utf-8").splitlines()
    assert len(sources) == 3 and not any("&apos;" in text or " ," in text for text in sources)
    for tag in ("fr_XX", "zh_CN"):
        for side, ours in (("x", "src"), ("y", "tgt")):
            laid = as_laid(data / f"test.{side}.{tag[:2]}")
            assert joined(out / "raw" / f"{tag}.test.{ours}") == laid
        xnlg = json.loads((out / "laft" / f"score.{tag}.json").read_text())
        unicode = json.loads((out / "laft" / f"unicode.{tag}.json").read_text())
        assert xnlg["n"] == unicode["n"] == 3
        assert "xnlg" in xnlg["signature"] and "unicode" in unicode["signature"]
        assert f"| **laft** | {tag} | 1e-4 |" in (out / "table.md").read_text()
    log = (out / "laft" / "stage2" / "train.log").read_text("utf-8")
    assert "num_updates 2" in log and "rougeL_en_XX" in log
    before = (out / "laft" / "stage2" / "checkpoint_best.pt").stat().st_mtime_ns
    (out / "laft" / "score.fr_XX.json").unlink()
    again = run(warm, "xgiga", out, **settings)
    assert again.returncode == 0, again.stderr[-2000:]
    assert "stage 2, laft: done before" in again.stdout and "raw: up to date" in again.stdout
    assert (out / "laft" / "stage2" / "checkpoint_best.pt").stat().st_mtime_ns == before


def xquad(lang: str, folder: str) -> list[tuple[str, ...]]:
    """Evidence, answer and question of `xquad.<lang>.jsonl.xz`, of which nothing is shipped."""
    with lzma.open(Path(folder) / f"xquad.{lang}.jsonl.xz", "rt", encoding="utf-8") as handle:
        records = [json.loads(line) for line in handle]
    found = []
    for record in records:
        whole = sentences(record["context"], lang)
        evidence = [text for text in whole if record["answer"] in text][:1]
        found += [(text, record["answer"], record["question"]) for text in evidence]
    return found


def questions(lang: str) -> list[tuple[str, ...]]:
    """Evidence, answer, question: XQuAD's where `LAFT_XQUAD` names its folder.

    Else a description that ships with the repository, its first word, and the synopsis.
    """
    if folder := os.environ.get("LAFT_XQUAD"):
        return xquad(lang, folder)
    texts = descriptions({"en": "en_XX", "zh": "zh_CN"}[lang])
    return [(text, tokenised(text, lang).split()[0], asked) for text, asked in texts]


def lay_questions(folder: Path) -> None:
    for lang in ("en", "zh"):
        lay(folder, lang, "eaq", questions(lang), ".lc")


@pytest.mark.integration
def test_questions_run_to_a_score(tmp_path: Path, warm: Warm) -> None:
    """A baseline at two rates, of which the better one is generated; then with translated pairs."""
    data, out = tmp_path / "xqg", tmp_path / "out"
    lay_questions(data)
    settings = {"XQG": str(data), "METHODS": "mbart_attn_qk"}
    done = run(warm, "xqg", out, LRS="1e-4 1e-2", **settings)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    evidence, answers = (as_laid(data / f"test.{side}.zh.lc") for side in "ea")
    sources = (out / "raw" / "zh_CN.test.src").read_text("utf-8").splitlines()
    parts = [source.split(" ⏎ ") for source in sources]
    assert [["".join(side.split()) for side in part] for part in parts] == [
        list(pair) for pair in zip(evidence, answers, strict=True)
    ]
    assert joined(out / "raw" / "zh_CN.test.tgt") == as_laid(data / "test.q.zh.lc")
    assert not (out / "data-bin" / "zh_CN" / "train.src-tgt.src.bin").exists()
    row = out / "mbart_attn_qk"
    rates = dict(line.split("\t") for line in (row / "rates.tsv").read_text().splitlines())
    assert list(rates) == ["1e-4", "1e-2"]
    best = max(rates, key=lambda rate: float(rates[rate]))
    assert (row / "stage2").readlink() == Path(f"rate-{best}")
    report = json.loads((row / "score.zh_CN.json").read_text())
    assert report["n"] == 3 and "xnlg" in report["signature"]
    assert f"| **mbart_attn_qk** | zh_CN | {best} |" in done.stdout

    english = (out / "raw" / "en_XX.train.tsv").read_text("utf-8")
    (tmp_path / "zh_CN.train.tsv").write_text(english, "utf-8")
    more = run(warm, "xqg", out, TRANSLATED=str(tmp_path), **settings)
    assert more.returncode == 0, more.stdout[-2000:] + more.stderr[-2000:]
    assert "stage 2, mbart_attn_qk: done before" in more.stdout
    assert "| **mbart_attn_qk.translated** | zh_CN | 1e-4 |" in more.stdout
    log = (out / "mbart_attn_qk.translated" / "rate-1e-4" / "train.log").read_text("utf-8")
    assert "/zh_CN/train.src-tgt.src" in log and "/en_XX/train.src-tgt.src" in log


@pytest.mark.integration
def test_missing_or_misaligned_data_stops_at_once(tmp_path: Path, warm: Warm) -> None:
    """One line that names file, language and remedy, before anything is written."""
    lay_questions(tmp_path / "xqg")
    out, answers = tmp_path / "out", tmp_path / "xqg" / "dev.a.zh.lc"
    for change, said in (
        (lambda: answers.write_text("南 边\n"), "dev in Chinese (zh_CN) is not aligned, lines: "
         "dev.e.zh.lc 4, dev.a.zh.lc 1, dev.q.zh.lc 4; the xqg files come from the XNLG project"),
        (answers.unlink, "dev.a.zh.lc: missing (Chinese, zh_CN); the xqg files come from"),
    ):  # fmt: skip
        change()
        failed = run(warm, "xqg", out, XQG=str(tmp_path / "xqg"))
        assert failed.returncode == 1
        assert said in failed.stderr and failed.stderr.count("\n") == 1
        assert not out.exists()
    unset = run(warm, "xgiga", out)
    assert unset.returncode == 1 and "XGIGA is not set" in unset.stderr
    late = run(warm, "xqg", out, XQG=str(tmp_path / "xqg"), WARMUP="2")
    assert late.returncode == 1 and "WARMUP=2: with 2 updates" in late.stderr
