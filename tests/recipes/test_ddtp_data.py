"""The headline data: the extract is sound, Debian's files are read right, bad input is refused."""

import lzma
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from preprocess.binarize import __main__ as binarizing
from preprocess.common.text import shingles
from preprocess.ddtp import extract as extraction
from preprocess.ddtp import index
from tests import data_tools

TAGS = ("en_XX", "fr_XX", "zh_CN")


@pytest.fixture(scope="module")
def extract(repository: Path) -> Path:
    return repository / "examples" / "ddtp" / "data"


def lines(path: Path) -> list[str]:
    with lzma.open(path, "rt", encoding="utf-8", newline="\n") as handle:
        return [line.rstrip("\n") for line in handle]


def rows(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in lines(path)]


def test_counts_are_those_of_the_readme(extract: Path) -> None:
    listed = re.findall(
        r"^\| `(\S+\.xz)` \| ([\d,]+) \|", (extract / "README.md").read_text(), re.M
    )
    assert {name: int(count.replace(",", "")) for name, count in listed} == {
        path.name: len(lines(path)) for path in extract.glob("*.xz")
    }
    assert len(listed) == 11
    assert sum(path.stat().st_size for path in extract.glob("*.xz")) < 6_000_000


def test_the_extract_is_sound(extract: Path) -> None:
    """Rows are complete and differ, the test is parallel, and no item is in two splits."""
    ids: dict[str, set[str]] = {"train": set(), "valid": set(), "test": set()}
    for split, seen in ids.items():
        for path in extract.glob(f"*.{split}.tsv.xz"):
            table = rows(path)
            assert all(len(row) == 4 and all(cell.strip() for cell in row) for row in table)
            assert len({row[1] for row in table}) == len(table)
            seen |= {row[1] for row in table}
    assert not ids["train"] & ids["valid"] and not (ids["train"] | ids["valid"]) & ids["test"]
    tests = [rows(extract / f"{tag}.test.tsv.xz") for tag in TAGS]
    for versions in zip(*tests, strict=True):
        assert len({row[1] for row in versions}) == 1 and len({row[2] for row in versions}) == 3


@pytest.mark.parametrize("tag", TAGS)
def test_nothing_held_out_is_trained_on(extract: Path, tag: str) -> None:
    splits = ("valid", "test")
    held = [row for s in splits for row in rows(extract / f"{tag}.{s}.tsv.xz")]
    held_out = extraction.HeldOut(index.Description(*row) for row in held)
    trained = lines(extract / f"mono.{tag}.txt.xz")
    if tag == "en_XX":
        pairs = rows(extract / "en_XX.train.tsv.xz")
        trained += [row[2] for row in pairs]
        assert not held_out.lines & {row[3] for row in pairs}
    assert not held_out.lines & set(trained)
    assert max(map(held_out.share, trained)) < 0.5


def test_the_share_with_held_out_texts() -> None:
    words = "one two three four five six seven eight"
    held_out = extraction.HeldOut([index.Description("p", "m", f"{words} nine", "s t")])
    assert held_out.share("One two three, four five six seven eight nine!") == 1.0
    assert held_out.share(f"{words} ten") == 0.5
    assert held_out.share("an entirely different line of some ten words or so") == 0.0
    assert held_out.holds("s t")


def test_shingles_of_chinese_are_characters() -> None:
    text = "这是一个自由开源跨平台的古代战争游戏"
    assert shingles("这是一个自由、开源、跨平台的古代战争游戏。") == {
        text[i : i + 16] for i in range(3)
    }


PACKAGES = """\
Package: gnu-tool
Source: tool (1.2-3)
Description: tool for files
Description-md5: aaa

Package: tool-gui
Source: tool
Description-md5: bbb

Package: other
Description-md5: ccc
"""
FRENCH = """\
Package: gnu-tool
Description-md5: aaa
Description-fr: outil pour fichiers
 Un outil qui traite
 les fichiers.
 .
 Il sait :
  * lire un fichier
    très long ;
  * l'écrire.
 Fin.

Package: nothing
Description-md5: ddd
Description-fr: sans description
"""


def test_debians_files() -> None:
    packages = list(index.read_packages(PACKAGES.splitlines()))
    assert packages == [("gnu-tool", "tool"), ("tool-gui", "tool"), ("other", "other")]
    (french,) = index.read_translation(FRENCH.splitlines(), "fr")
    assert (french.package, french.md5, french.synopsis) == (
        "gnu-tool", "aaa", "outil pour fichiers",
    )  # fmt: skip
    assert french.text == (
        "Un outil qui traite les fichiers. ⏎ Il sait : ⏎ "
        "* lire un fichier très long ; ⏎ * l'écrire. Fin."
    )
    assert index.unfold([" 一个程", " 序包含 GTK", " 界面"]) == "一个程序包含 GTK 界面"


def entry(package: str, md5: str, lang: str, synopsis: str, *paragraphs: str) -> str:
    body = "\n .\n ".join(paragraphs)
    return f"Package: {package}\nDescription-md5: {md5}\nDescription-{lang}: {synopsis}\n {body}\n"


def words(seed: str, count: int = 24) -> str:
    return " ".join(f"{seed}{i}" for i in range(count)) + "."


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """What apt would fetch for one suite: 40 sources of two packages, and what must go out."""
    names = [f"{side}{i}" for i in range(40) for side in ("left", "right")]
    packages = [f"Package: {name}\nSource: source{name.lstrip('lefright')}\n" for name in names]
    english = [entry(n, f"m{n}", "en", f"synopsis of {n}", words(f"w{n}")) for n in names]
    french = [entry(n, f"m{n}", "fr", f"résumé de {n}", words(f"v{n}")) for n in names[:20]]
    english += [
        entry("tool-dev", "m1", "en", "files to develop", words("dev")),
        entry("old", "m2", "en", "old name", words("old"), "This is a transitional package."),
        entry("short", "m3", "en", "too short", "Much too short."),
        entry("copy", "m4", "en", "near duplicate", words("wleft3"), "One more paragraph."),
    ]
    french += [entry(names[20], f"m{names[20]}", "fr", "non traduit", words(f"w{names[20]}"))]
    start = tmp_path / "lists" / "mirror_debian_dists_sid_main_"
    start.parent.mkdir()
    Path(f"{start}binary-amd64_Packages").write_text("\n".join(packages))
    Path(f"{start}i18n_Translation-en").write_text("\n".join(english))
    Path(f"{start}i18n_Translation-fr").write_text("\n".join(french))
    return start.parent


def build(repository: Path, lists: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """On a Python without packages, as `ddtp.sh` may find it."""
    command = [sys.executable, "-S", "-m", "preprocess.ddtp", "build", "--lists", str(lists)]
    return subprocess.run(
        [*command, "--out", str(out), *more],
        capture_output=True, text=True, check=False, cwd=repository,
    )  # fmt: skip


def test_build(repository: Path, lists: Path, tmp_path: Path) -> None:
    result = build(repository, lists, tmp_path / "out", "--langs", "en,fr", "--suites", "sid")
    assert result.returncode == 0, result.stderr
    where: dict[str, set[str]] = {}
    counts = {"en": 0, "fr": 0}
    for lang in counts:
        for split in ("train", "valid", "test"):
            for package, md5, _, _ in rows(tmp_path / "out" / f"{lang}.{split}.tsv.xz"):
                where.setdefault(package.lstrip("lefright"), set()).add(split)
                assert md5 == f"m{package}"
                counts[lang] += 1
    assert counts == {"en": 80, "fr": 20}
    assert len(where) == 40
    assert all(len(splits) == 1 for splits in where.values())


def test_build_names_the_suite_that_is_missing(
    repository: Path, lists: Path, tmp_path: Path
) -> None:
    result = build(repository, lists, tmp_path / "out", "--suites", "trixie")
    assert result.returncode == 1 and result.stderr.count("\n") == 1
    assert str(lists) in result.stderr and "trixie" in result.stderr


def test_ddtp_without_apt(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("bash", "dirname", "sed"):
        (tmp_path / "bin" / name).symlink_to(f"/usr/bin/{name}")
    script = repository / "preprocess" / "ddtp.sh"
    result = subprocess.run(
        ["/bin/bash", script, tmp_path / "out"],
        capture_output=True, text=True, check=False, env={"PATH": str(tmp_path / "bin")},
    )  # fmt: skip
    assert result.returncode == 1
    assert "apt-get" in result.stderr and result.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def backbone(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mini backbone, with another tag layout."""
    folder = tmp_path_factory.mktemp("backbone")
    for name in ("sentence.bpe.model", "dict.txt", "langs.txt"):
        shutil.copy(repository / "examples" / "mini" / "model" / name, folder)
    (folder / "tag-layout.txt").write_text("prefix\n")
    return folder


def binarize(repository: Path, cwd: Path, command: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [repository / "preprocess" / "binarize.sh", *command.split()],
        cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("pairs --train two one", "two has 2 lines and one has 1 lines"),
        ("pairs --train two none", "none"),
        ("mono --train blank", "blank"),
        ("mono --train missing", "missing"),
        ("mono --train bytes", "bytes: line 88"),
        ("pairs --train two", "two"),
        ("pairs --train three.tsv", "three.tsv: line 1"),
        ("pairs --train three.tsv --columns 3", "--columns 3"),
        ("pairs --train half.tsv", "half.tsv: column 4"),
        ("mono --train half.tsv --columns 4", "half.tsv: column 4"),
        ("mono --train two --lang xx_XX", "xx_XX"),
        ("mono --train two --backbone short", "short/dict.txt"),
        ("mono --train two --backbone swapped", "swapped/dict.txt"),
        ("mono --train two --out other", "other/dict.txt"),
        ("mono --train two --out suffix", "suffix: its tag layout"),
        ("mono", "--train"),
    ],
)
def test_refusals(
    backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, named: str
) -> None:
    for name, data in {"two": b"a\nb\n", "one": b"a\n", "none": b"", "blank": b"\n\n"}.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "bytes").write_bytes(b"one\n" * 87 + b"\xe9\n" + b"more\n" * 9)
    (tmp_path / "half.tsv").write_text("a\tb\tc\t\n" * 10)
    (tmp_path / "three.tsv").write_text("a\tb\tc\n")
    words = (backbone / "dict.txt").read_text().splitlines()
    entries = {"short": words[:50], "swapped": [*words[:400], *words[400:][::-1]]}
    for name, kept in entries.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "dict.txt").write_text("".join(f"{word}\n" for word in kept))
        (tmp_path / name / "sentence.bpe.model").symlink_to(backbone / "sentence.bpe.model")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "dict.txt").write_text("another 1\n")
    (tmp_path / "suffix").mkdir()
    shutil.copy(backbone / "dict.txt", tmp_path / "suffix")
    monkeypatch.chdir(tmp_path)
    kind, *more = command.split()
    words = [kind, "--backbone", str(backbone), "--lang", "fr_XX", "--out", "data-bin", *more]
    options = binarizing.parser().parse_args(words)
    result = data_tools.run("binarize", lambda: binarizing.main(options))
    assert result.returncode == 1
    assert named in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "data-bin").exists()


@pytest.mark.integration
def test_pairs_and_mono_are_binarised(
    repository: Path, backbone: Path, tmp_path: Path, extract: Path
) -> None:
    from fairseq.data import Dictionary, data_utils

    (tmp_path / "src").write_text("un fichier\r\n\ntrois\rmots , là\n" * 3, newline="")
    (tmp_path / "tgt").write_text("fichier\nvide\nmots\n" * 3)
    given = f"--backbone {backbone} --lang fr_XX --out data-bin"
    pairs = f"pairs {given} --train {extract / 'fr_XX.valid.tsv.xz'} --test src tgt"
    first = binarize(repository, tmp_path, pairs)
    assert first.returncode == 0, first.stderr
    assert "fr_XX train pairs: 200 lines\n" in first.stdout
    assert "fr_XX test pairs: 9 lines (3 empty texts kept)\n" in first.stdout
    assert binarize(repository, tmp_path, pairs).stdout.count("up to date") == 2
    mono = binarize(repository, tmp_path, f"mono {given} --train src --valid tgt")
    assert mono.returncode == 0, mono.stderr

    data = tmp_path / "data-bin"
    for name in ("langs.txt", "tag-layout.txt"):
        assert (data / name).read_bytes() == (backbone / name).read_bytes()
    folder = data / "fr_XX"
    stems = [f"{s}.src-tgt.{side}" for s in ("train", "test") for side in ("src", "tgt")]
    names = {f"{stem}.{end}" for stem in [*stems, "train", "valid"] for end in ("bin", "idx")}
    assert names == {path.name for path in folder.iterdir() if path.suffix != ".stamp"}
    dictionary = Dictionary.load(str(data / "dict.txt"))
    items = data_utils.load_indexed_dataset(str(folder / "test.src-tgt.src"), dictionary)
    texts = [dictionary.string(items[i], "sentencepiece") for i in range(len(items))]
    assert [text.strip() for text in texts] == ["un fichier", "", "trois mots , là"] * 3
    assert len(data_utils.load_indexed_dataset(str(folder / "valid"), dictionary)) == 9
