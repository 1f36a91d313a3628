"""fairseq-generate logs: shuffled, n-best, in subwords, and the ones to refuse."""

from pathlib import Path

import pytest

from laft_fairseq.errors import LaftError
from laft_fairseq.scoring.fairseq_log import GenerateLog, read_generate_log

SHUFFLED = """\
2026-01-01 00:00:00 | INFO | fairseq_cli.generate | loading model(s)
S-2\tIl est trois heures. [fr_XX]
T-2\tl'heure
H-2\t-0.5\t▁l ' heure
D-2\t-0.5\tl'heure
P-2\t-0.1 -0.2
H-2\t-0.9\t▁midi
D-2\t-0.9\tmidi
P-2\t-0.3
S-0\tUn jeu\u2028libre. [fr_XX]
T-0\tjeu
H-0\t-0.2\t▁jeu
D-0\t-0.2\tjeu\tlibre
P-0\t-0.1
S-1\t[fr_XX]
T-1\trien
H-1\t-1.5\t
D-1\t-1.5\t
P-1\t-0.1
Generate test with beam=5: ROUGE-L: 12.00
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "generate-test.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_hypotheses_come_in_order_of_id_and_best_first(tmp_path: Path) -> None:
    assert read_generate_log(written(tmp_path, SHUFFLED)) == GenerateLog(
        hypotheses=["jeu\tlibre", "", "l'heure"],
        references=["jeu", "rien", "l'heure"],
        sources=["Un jeu\u2028libre.", "", "Il est trois heures."],
        languages=frozenset({frozenset({"fr_XX"})}),
    )


@pytest.mark.parametrize("tag", ["fr_XX", "fil_PH", "sr_Latn"])
def test_tags_are_taken_off_in_either_layout(tmp_path: Path, tag: str) -> None:
    log = f"S-0\tune heure [{tag}]\nD-0\t-1\tx\nS-1\t[{tag}] une heure\nD-1\t-1\tx\n"
    read = read_generate_log(written(tmp_path, log))
    assert read.sources == ["une heure", "une heure"]


@pytest.mark.parametrize(
    ("log", "hypotheses"),
    [
        ("H-1\t-1\t▁Bon jour ▁vous\nH-0\t-1\t▁ 图 形 <0xE7> <0x95> <0x8C> 面\n",
         ["图形界面", "Bonjour vous"]),
        ("H-0\t-1\t▁c af <0xC3> <0xA9> <0xE7>\n", ["café\N{REPLACEMENT CHARACTER}"]),
        ("D-0\t-1\tun  jeu \n", ["un  jeu"]),  # detokenised: keeps its spaces
    ],
)  # fmt: skip
def test_subwords_are_joined_where_nothing_was_detokenised(
    tmp_path: Path, log: str, hypotheses: list[str]
) -> None:
    assert read_generate_log(written(tmp_path, log)) == GenerateLog(hypotheses, None, None)


@pytest.mark.parametrize(
    ("log", "named"),
    [
        ("H-0\t-1\ta\nH-2\t-1\tc\n", r"no hypothesis .* for 1 of 3 items \(id 1\)"),
        (
            "D-0\t-1\ta\nD-9999999999\t-1\tb\n",
            r"no hypothesis .* for 9999999998 of 10000000000 .*\(id 1, .* 5, \.\.\.\)",
        ),
        (f"D-0\t-1\ta\nS-{'9' * 5000}\tb\n", f"no hypothesis .* of 1{'0' * 18} items"),
        ("S-0\ta\nH-0\t-1\ta\nD-0\t-1\ta\nH-1\t-1\tb\n", r"no hypothesis .* \(id 1\)"),
        ("S-0\ta\nH-0\t-1\ta\nH-1\t-1\tb\n", r"no source .* \(id 1\)"),
        ("H-0\t-1\ta\nT-1\tb\nH-1\t-1\tb\n", r"no target .* \(id 0\)"),
        ("H-0\t-1\ta\nH-1\t-1\tb\nH-0\t-1\ta\n", "item 0 stands there twice"),
        ("loading model\n", "no H- or D- line"),
    ],
)
def test_incomplete_and_doubled_logs_are_refused(tmp_path: Path, log: str, named: str) -> None:
    with pytest.raises(LaftError, match=f"generate-test.txt: {named}"):
        read_generate_log(written(tmp_path, log))


@pytest.mark.parametrize(
    ("lines", "languages"),
    [
        (["S-0\tx [en_XX]", "T-0\tx [ro_RO]", "H-0\t-1\ty"], {frozenset({"ro_RO"})}),
        (["S-0\t[en_US] is a locale [fr_XX]", "H-0\t-1\ty"], {frozenset({"en_US", "fr_XX"})}),
        (["S-0\tx [fr_XX]", "T-0\t[en_US] x", "H-0\t-1\ty", "S-1\tx [fr_XX]", "T-1\tx",
          "H-1\t-1\ty"], {frozenset({"fr_XX"})}),
        (["S-0\tx", "T-0\tx", "H-0\t-1\ty"], set()),
    ],
)  # fmt: skip
def test_languages_are_those_that_every_text_is_tagged_with(
    tmp_path: Path, lines: list[str], languages: set[frozenset[str]]
) -> None:
    """The targets', where those are tagged, as fairseq's own translation task writes them."""
    assert read_generate_log(written(tmp_path, "\n".join(lines))).languages == languages
