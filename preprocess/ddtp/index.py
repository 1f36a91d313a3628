"""Read Debian's `Packages` and `Translation-xx` files into descriptions and synopses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from laft_fairseq.errors import LaftError
from preprocess.common.files import read_lines
from preprocess.common.text import PARAGRAPH, is_cjk, squeeze

_BULLET = re.compile(r"^([*+•·–-]|\d+[.)])\s")


@dataclass(frozen=True)
class Description:
    """One description in one language; `md5` is that of the English text, so it joins languages."""

    package: str
    md5: str
    text: str
    synopsis: str

    def row(self) -> str:
        """The four columns of our TSV files."""
        return "\t".join((self.package, self.md5, self.text, self.synopsis))


@dataclass
class Index:
    """The lists of several suites: source packages by package, descriptions by language, md5."""

    sources: dict[str, set[str]] = field(default_factory=dict)
    descriptions: dict[str, dict[str, Description]] = field(default_factory=dict)


def stanzas(lines: Iterable[str]) -> Iterator[dict[str, list[str]]]:
    """Split a deb822 file into stanzas: field name -> its lines, continuation lines unstripped."""
    stanza: dict[str, list[str]] = {}
    body: list[str] = []
    for line in lines:
        if not line.strip():
            if stanza:
                yield stanza
            stanza = {}
        elif line[0] in " \t":
            body.append(line)
        else:
            name, _, value = line.partition(":")
            body = stanza[name] = [value.strip()]
    if stanza:
        yield stanza


def unfold(lines: Sequence[str]) -> str:
    """Join a long description: ` .` and bullets start paragraphs, indented lines continue."""
    paragraphs: list[list[str]] = [[]]
    for line in lines:
        text = squeeze(line)
        if text == ".":
            paragraphs.append([])
        elif _BULLET.match(text):
            paragraphs.append([text])
        elif text:
            paragraphs[-1].append(text)
    return PARAGRAPH.join(_join(paragraph) for paragraph in paragraphs if paragraph)


def _join(lines: Sequence[str]) -> str:
    """Join the lines of a paragraph: by a space, but not between two CJK characters."""
    text = lines[0]
    for line in lines[1:]:
        text += ("" if is_cjk(text[-1]) and is_cjk(line[0]) else " ") + line
    return text


def read_packages(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (package, source package) from a `Packages` file."""
    for stanza in stanzas(lines):
        if "Package" in stanza:
            package = stanza["Package"][0]
            yield package, stanza.get("Source", [package])[0].split(" ")[0]


def read_translation(lines: Iterable[str], lang: str) -> Iterator[Description]:
    """Yield the descriptions of a `Translation-<lang>` file with synopsis and text."""
    for stanza in stanzas(lines):
        body = stanza.get(f"Description-{lang}")
        if not body or "Description-md5" not in stanza or "Package" not in stanza:
            continue
        description = Description(
            package=stanza["Package"][0],
            md5=stanza["Description-md5"][0],
            text=unfold(body[1:]),
            synopsis=squeeze(body[0]),
        )
        if description.synopsis and description.text:
            yield description


def _list_files(folder: Path, suite: str, ending: str) -> list[Path]:
    """The files of one suite's `main` in apt's list folder whose names match."""
    name = re.compile(rf"_dists_{re.escape(suite)}_main_{ending}$")
    return sorted(path for path in folder.iterdir() if name.search(path.name))


def read_lists(folder: Path, suites: Sequence[str], langs: Sequence[str]) -> Index:
    """Read apt's list folder; where suites, named oldest first, disagree, the newest wins."""
    index = Index(descriptions={lang: {} for lang in langs})
    for suite in reversed(suites):
        packages = _list_files(folder, suite, r"binary-\w+_Packages")
        if not packages:
            raise LaftError(f"{folder}: no Packages file of suite {suite}")
        for path in packages:
            for package, source in read_packages(read_lines(path)):
                index.sources.setdefault(package, set()).add(source)
        for lang in langs:
            # apt writes the `_` of `zh_CN` as `%5f`.
            name = lang.replace("_", "(?:_|%5f)")
            for path in _list_files(folder, suite, f"i18n_Translation-{name}"):
                for each in read_translation(read_lines(path), lang):
                    index.descriptions[lang].setdefault(each.md5, each)
    for lang in langs:
        if not index.descriptions[lang]:
            raise LaftError(f"{folder}: no Translation-{lang} in the suites {', '.join(suites)}")
    return index
