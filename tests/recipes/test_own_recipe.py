"""examples/own/run.sh in a repository of stand-ins: what it splits, calls, refuses and skips.

The last test is the README's: real texts and commands, four steps, a French text in, a line out.
"""

import gzip
import lzma
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recipes.warm import Warm

ROOT = Path(__file__).parents[2]
OWN = ("examples/own/run.sh", "examples/common.sh", "preprocess/own.py",
       "preprocess/text_files.py", "preprocess/binary_layout.py", "preprocess/vocabulary.py",
       "preprocess/environment.sh")  # fmt: skip
BINARIZE = """#!/usr/bin/env bash
set -euo pipefail
echo "binarize $*" >> "$LOG"
while [ $# -gt 0 ]; do [ "$1" != --out ] || mkdir -p "$2"; shift; done
"""
LAFT = """#!/usr/bin/env bash
echo "laft $*" >> "$LOG"
while [ $# -gt 0 ]; do [ "$1" != --out ] || touch "$2"; shift; done
"""
TRAIN = """#!/usr/bin/env bash
echo "train $*" >> "$LOG"
[ -z "${FAILS:-}" ] || { echo "laft: error: $FAILS" >&2; exit 1; }
while [ $# -gt 0 ]; do [ "$1" != --save-dir ] || touch "$2/checkpoint_best.pt"; shift; done
"""
PYTHON = f"""#!/usr/bin/env bash
case $1 in preprocess/*) exec "{sys.executable}" "$@" ;; esac
"""


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A folder of 40 pairs, 60 French texts, and a repository of which only the recipe is real."""
    commands = {"preprocess/binarize.sh": BINARIZE, "bin/laft": LAFT, "bin/fairseq-train": TRAIN,
                "bin/python": PYTHON, "bin/nvidia-smi": "#!/bin/sh\nexit 1\n"}  # fmt: skip
    for name, text in commands.items():
        path = tmp_path / "repository" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    for name in OWN:
        (tmp_path / "repository" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "repository" / name)
    folder = tmp_path / "my task"
    folder.mkdir()
    (folder / "train.tsv").write_text("".join(f"text {n}\tshort {n}\n" for n in range(40)))
    (folder / "mono.fr_XX.txt").write_text("\n".join(f"texte {n}" for n in range(60)))
    for name in ("model.pt", "dict.txt", "sentence.bpe.model"):  # as mbart.cc25.v2 comes
        (tmp_path / "mbart").mkdir(exist_ok=True)
        (tmp_path / "mbart" / name).touch()
    (tmp_path / "mbart" / "langs.txt").write_text("en_XX\nfr_XX\n")
    return folder


def run(task: Path, step: str, **variables: str) -> subprocess.CompletedProcess[str]:
    home = task.parent / "repository"
    environment = {**os.environ, "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}",
                   "LOG": str(task.parent / "log"), "BACKBONE": str(task.parent / "mbart"),
                   **variables}  # fmt: skip
    return subprocess.run(
        ["bash", str(home / "examples" / "own" / "run.sh"), step, task.name],
        env=environment, cwd=task.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip


def calls(task: Path) -> list[str]:
    return (task.parent / "log").read_text().replace(f"{task}/", "").splitlines()


def option(call: str, name: str) -> str:
    words = call.split()
    return words[words.index(name) + 1]


def test_all_steps_in_order(task: Path) -> None:
    done = run(task, "all", STAGE1_UPDATES="7", WARMUP="5", STAGE2_LR="5e-4")
    assert done.returncode == 0, done.stderr
    made = calls(task)
    assert [" ".join(call.split()[:2]) for call in made] == [
        "binarize pairs", "binarize mono", "binarize mono", "laft components",
        "train out/data-bin", "train out/data-bin",
    ]  # fmt: skip
    assert option(made[0], "--columns") == "1,2"
    assert [option(call, "--lang") for call in made[:3]] == ["en_XX", "en_XX", "fr_XX"]
    assert option(made[3], "--langs") == "en_XX,fr_XX"
    first, second = made[4:]
    assert option(first, "--task") == "laft_denoising"
    assert (option(first, "--train-langs"), option(first, "--max-update")) == ("en_XX,fr_XX", "7")
    assert option(second, "--task") == "laft_generation"
    assert (option(second, "--train-langs"), option(second, "--lr")) == ("en_XX", "5e-4")
    assert option(second, "--finetune-from-model") == "out/stage1/checkpoint_best.pt"
    assert "laft generate --checkpoint" in done.stdout and "--lang fr_XX" in done.stdout

    raw = task / "out" / "raw"
    pairs = (task / "train.tsv").read_text().splitlines()
    assert (raw / "train.tsv").read_text().splitlines() == pairs[:38]
    assert (raw / "valid.tsv").read_text().splitlines() == pairs[38:]
    english = [pair.split("\t")[0] for pair in pairs]  # no mono.en_XX.txt: the pairs' sources
    assert (raw / "mono.en_XX.train").read_text().splitlines() == english[:38]
    french = (task / "mono.fr_XX.txt").read_text().splitlines()
    assert (raw / "mono.fr_XX.train").read_text().splitlines() == french[:57]
    assert (raw / "mono.fr_XX.valid").read_text().splitlines() == french[57:]

    again = run(task, "all")
    assert again.returncode == 0 and again.stdout.count("done before") == 4
    assert len(calls(task)) == 6


def test_given_validation_pairs_and_english_text_are_used(task: Path) -> None:
    (task / "valid.tsv").write_text("a\tb\n")
    (task / "mono.en_XX.txt").write_text("plain\n" * 20)
    assert run(task, "data").returncode == 0
    assert "--train out/raw/train.tsv --valid out/raw/valid.tsv" in calls(task)[0]
    raw = task / "out" / "raw"
    assert (raw / "valid.tsv").read_text() == "a\tb\n"
    assert len((raw / "train.tsv").read_text().splitlines()) == 40
    assert (raw / "mono.en_XX.train").read_text() == "plain\n" * 19


def test_files_of_windows_and_blank_lines(task: Path) -> None:
    """A byte order mark and carriage returns go, and so does what has no text, which is told."""
    for name in ("train.tsv", "mono.fr_XX.txt"):
        text = (task / name).read_text().replace("\n", "\r\n")
        (task / name).write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n")
    with (task / "mono.fr_XX.txt").open("a") as handle:
        handle.write(" \r\n")
    with (task / "train.tsv").open("a") as handle:
        handle.write("no target\t \r\n\tno source\r\n")
    done = run(task, "data")
    assert done.returncode == 0, done.stderr
    raw = task / "out" / "raw"
    assert (raw / "train.tsv").read_bytes().startswith(b"text 0\tshort 0\ntext 1\t")
    assert (raw / "valid.tsv").read_bytes() == b"text 38\tshort 38\ntext 39\tshort 39\n"
    assert (raw / "mono.fr_XX.train").read_bytes().startswith(b"texte 0\ntexte 1\n")
    assert "own: train.tsv: 3 lines with an empty side left out: 41, 42, 43\n" in done.stdout
    assert "own: mono.fr_XX.txt: 1 lines without text left out: 61\n" in done.stdout
    assert "own: en_XX: 38 pairs, 2 more for validation\n" in done.stdout
    assert "own: fr_XX: 57 texts, 3 more for validation, of mono.fr_XX.txt\n" in done.stdout


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("train.tsv", None, "train.tsv: missing: a line is source, tab, target"),
        ("train.tsv", b"", "train.tsv: empty: a line is source, tab, target"),
        ("train.tsv", b"a\tb\na b\n", "train.tsv: line 2 has 1 column, not 2: a line is source,"),
        ("train.tsv", b"1\ta\tb\n", "train.tsv: line 1 has 3 columns, not 2: a line is source,"),
        ("train.tsv", b"a\tb\n", "train.tsv: 1 lines; at least 20 are needed, of which the last"),
        ("train.tsv", b"\xff\xfea\0\t\0b\0", "train.tsv: line 1 is not UTF-8; convert it with"),
        ("valid.tsv", b"\n", "valid.tsv: empty: a line is source, tab, target"),
        ("mono.fr_XX.txt", b"une\n", "mono.fr_XX.txt: 1 lines; at least 20 are needed, of which"),
        ("mono.fr_XX.txt", b"a\n" * 87 + b"\xe9\n", "mono.fr_XX.txt: line 88 is not UTF-8;"),
        ("mono.fr_XX.txt", None, "no mono.<tag>.txt of another language, such as mono.fr_XX.txt"),
        ("mono.fr.txt", b"une\n", "own: mono.fr.txt: fr is not among en_XX, fr_XX of "),
        ("mono.fr.txt", b"une\n", "/langs.txt; call it mono.fr_XX.txt\n"),
        ("mono.zh_CN.TXT", b"a\n", "mono.zh_CN.TXT: not read: a language's text is mono.<tag>.txt"),
        ("mono.fr_XX.txt.gz", b"", "mono.fr_XX.txt: mono.fr_XX.txt.gz is there too; take one of"),
        (
            "mono.fr_XX.txt",
            b"\x1f\x8b\x08",
            "mono.fr_XX.txt: compressed, and not text: let its name",
        ),
        ("mono.eo_XX.txt", b"unu\n", "/langs.txt; NEW_LANGS=eo_XX adds it to the backbone's\n"),
    ],
)
def test_a_wrong_file_is_named(task: Path, name: str, text: bytes | None, said: str) -> None:
    """By one line, before anything is written."""
    if text is None:
        (task / name).unlink()
    else:
        (task / name).write_bytes(text)
    failed = run(task, "data")
    assert failed.returncode == 1
    assert said in failed.stderr and failed.stderr.count("\n") == 1
    assert not (task / "out" / "raw").exists() and not (task.parent / "log").exists()
    assert not (task / "out" / "raw.partial").exists()


def test_compressed_files_are_read_and_others_named(task: Path) -> None:
    for name, pack in (("train.tsv", lzma), ("mono.fr_XX.txt", gzip)):
        path = task / name
        with pack.open(task / f"{name}{'.xz' if pack is lzma else '.gz'}", "wb") as handle:
            handle.write(path.read_bytes())
        path.unlink()
    (task / "valid.csv").write_text("a,b\n")
    done = run(task, "data")
    assert done.returncode == 0, done.stderr
    assert "own: valid.csv: not read; pairs are in train.tsv and valid.tsv" in done.stdout
    assert "own: fr_XX: 57 texts, 3 more for validation, of mono.fr_XX.txt.gz\n" in done.stdout
    assert "own: en_XX: 38 pairs, 2 more for validation\n" in done.stdout


def test_what_fairseq_would_misread_is_refused(task: Path) -> None:
    colon = run(task, "data", OUT=str(task / "10:00"))
    assert colon.returncode == 1 and not (task / "10:00").exists()
    assert colon.stderr.endswith(
        "10:00: a colon parts folders for fairseq; let OUT name one without\n"
    )
    for name in ("STAGE1_UPDATES", "WARMUP"):
        refused = run(task, "data", **{name: "many"})
        assert refused.returncode == 1
        assert refused.stderr == f"own: {name}=many: a whole number is needed\n"


def test_help_says_what_the_steps_are(task: Path) -> None:
    shown = run(task, "--help")
    assert shown.returncode == 0 and not shown.stderr
    assert "STEP: data, components, stage1, stage2, or all of them" in shown.stdout


def test_files_that_changed_are_not_taken_for_what_is_there(task: Path) -> None:
    assert run(task, "data").returncode == 0
    with (task / "train.tsv").open("a") as handle:
        handle.write("one\tmore\n")
    failed = run(task, "all")
    assert failed.returncode == 1
    assert "raw was made from other train.tsv: remove " in failed.stderr


def test_one_folder_is_of_one_backbone(task: Path) -> None:
    assert run(task, "data").returncode == 0
    assert run(task, "components", STAGE1_LR="1e-4").returncode == 0
    assert run(task, "stage1", REMOVAL="projection").returncode == 0
    refused = run(task, "stage2")
    assert refused.returncode == 1
    made = "out/stage1: made with ARCH=laft_mbart_mini REMOVAL=projection; name another OUT"
    assert made in refused.stderr
    (task.parent / "mbart" / "dict.txt").write_text("another 1\n")
    assert run(task, "stage1").returncode == 1
    assert run(task, "data", OUT="elsewhere").returncode == 0


def test_a_backbone_without_langs_txt_has_cc25s_languages(task: Path) -> None:
    """As fairseq publishes it; vi_VN is one of the 25, oc_XX none."""
    (task.parent / "mbart" / "langs.txt").unlink()
    refused = run(task, "data", NEW_LANGS="vi_VN")
    assert refused.returncode == 1
    assert (
        "own: NEW_LANGS: vi_VN is a language of mBART-cc25 (the backbone has no" in refused.stderr
    )
    assert not (task / "out" / "raw").exists()
    assert run(task, "data").returncode == 0
    (task / "mono.oc_XX.txt").write_text("un\n" * 20)
    unknown = run(task, "data", OUT=str(task / "other"))
    assert unknown.returncode == 1 and "NEW_LANGS=oc_XX adds it" in unknown.stderr


def test_a_rate_that_would_not_be_reached(task: Path) -> None:
    refused = run(task, "data", STAGE2_UPDATES="50")
    assert refused.returncode == 1 and not (task / "out").exists()
    line = "own: WARMUP=50: with STAGE2_UPDATES=50 the learning rate would not reach its value\n"
    assert refused.stderr == line


def test_what_is_missing_is_named(task: Path) -> None:
    early = run(task, "stage1")
    assert early.returncode == 1 and "first run examples/own/run.sh components" in early.stderr
    assert run(task, "stage3").returncode == 1
    alone = run(task, "data", BACKBONE="nowhere")
    assert alone.returncode == 1 and "nowhere/model.pt: missing" in alone.stderr
    source = run(task, "data", SOURCE="en")
    assert source.returncode == 1 and source.stderr.endswith("/langs.txt; call it SOURCE=en_XX\n")


def test_a_language_that_the_backbone_never_saw(task: Path) -> None:
    (task / "mono.eo_XX.txt").write_text("unu\n" * 20)
    assert run(task, "data", NEW_LANGS="eo_XX").returncode == 0
    assert all(option(call, "--new-langs") == "eo_XX" for call in calls(task))


def test_a_training_that_fails_is_not_done(task: Path) -> None:
    failed = run(task, "all", FAILS="no adapter")
    assert failed.returncode == 1
    assert "laft: error: no adapter" in failed.stderr
    assert not (task / "out" / "stage1" / "done").exists()
    assert len([call for call in calls(task) if call.startswith("train")]) == 1


def test_a_training_that_fails_again_says_its_own_error(task: Path) -> None:
    """Not that of an earlier attempt, whose log it goes on with."""
    assert "no adapter" in run(task, "all", FAILS="no adapter").stderr
    failed = run(task, "stage1", FAILS="no memory")
    assert failed.returncode == 1
    assert "laft: error: no memory" in failed.stderr and "no adapter" not in failed.stderr
    log = (task / "out" / "stage1" / "train.log").read_text()
    assert "no adapter" in log and "no memory" in log


@pytest.mark.recipe
@pytest.mark.integration
def test_four_commands_on_real_text(tmp_path: Path, warm: Warm) -> None:
    """Pairs as Windows writes them and French text; then raw text in, raw text out."""
    folder, data = tmp_path / "my-task", ROOT / "examples" / "ddtp" / "data"
    folder.mkdir()
    with lzma.open(data / "en_XX.train.tsv.xz", "rt", encoding="utf-8") as handle:
        rows = [next(handle).rstrip("\n").split("\t") for _ in range(40)]
    pairs = "".join(f"{row[2]}\t{row[3]}\r\n" for row in rows)
    (folder / "train.tsv").write_bytes(b"\xef\xbb\xbf" + pairs.encode())
    with lzma.open(data / "mono.fr_XX.txt.xz", "rt", encoding="utf-8") as handle:
        french = [next(handle) for _ in range(40)]
    (folder / "mono.fr_XX.txt").write_text("".join(french), "utf-8")
    small = {"STAGE1_UPDATES": "2", "STAGE2_UPDATES": "2", "WARMUP": "1", "MAX_TOKENS": "1024"}
    environment = {**os.environ, "PATH": warm.path(), **small}
    for step in ("data", "components", "stage1", "stage2"):
        done = subprocess.run(
            ["bash", str(ROOT / "examples" / "own" / "run.sh"), step, str(folder)],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    command = done.stdout.split("] ")[-1].strip()
    assert command == (f"laft generate --checkpoint {folder}/out/stage2/checkpoint_best.pt "
                       "--lang fr_XX < in.txt > out.txt")  # fmt: skip
    words = command.replace(" < in.txt > out.txt", " --beam 1").split()
    made = subprocess.run(
        words, env=environment, input="".join([french[0], "\n", french[1]]), text=True,
        capture_output=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    lines = made.stdout.split("\n")
    assert len(lines) == 4 and lines[0] and lines[2] and not lines[3]
