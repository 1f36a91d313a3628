"""Apertium, one line out for one line in: stdin to stdout, through one direction after another.

    preprocess/apertium_lines.sh eng-cat cat-fra < english.txt > french.txt
    preprocess/apertium_lines.sh --version

Apertium reads running text: it joins and moves lines, an unreadable byte empties everything after
it, and a line of thousands of words takes minutes. So each line goes in as a paragraph of its own,
without control characters, long ones in chunks; the paragraphs are checked to come out one by one,
and what does not is translated again, apart. Lines without a letter or digit, and words of over
200 characters, are not sent: they stay as they are. Unknown words come without `*`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

from laft_fairseq.errors import LaftError
from preprocess.common.command import run_command
from preprocess.common.text import split_lines, squeeze

MAX_CHUNK = 1000  # characters; time grows faster than length
MAX_WORD = 200  # characters
INSTALL = "apt-get install apertium apertium-eng-cat apertium-fra-cat"
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_SENTENCE_END = re.compile(r"[.!?:;]$")


def clean(line: str) -> str:
    """The line without control characters and with each run of white space as one space."""
    return squeeze(_UNPRINTABLE.sub(" ", line))


def is_text(chunk: str) -> bool:
    """Whether there is anything to translate: a letter or digit, and no endless word."""
    return any(map(str.isalnum, chunk)) and max(map(len, chunk.split())) <= MAX_WORD


def chunks(line: str) -> list[str]:
    """A clean line cut at sentence ends, or else at spaces, so that no chunk is too long."""
    if len(line) <= MAX_CHUNK and all(len(word) <= MAX_WORD for word in line.split()):
        return [line]
    parts: list[list[str]] = [[]]
    size = 0
    for word in line.split():
        last = parts[-1]
        ended = size > MAX_CHUNK // 2 and _SENTENCE_END.search(last[-1])
        endless = len(word) > MAX_WORD or (last and len(last[-1]) > MAX_WORD)
        if last and (ended or endless or size + len(word) >= MAX_CHUNK):
            parts.append([])
            size = 0
        parts[-1].append(word)
        size += len(word) + 1
    return [" ".join(words) for words in parts]


def run_apertium(direction: str, texts: list[str]) -> list[str] | None:
    """Translate texts, a paragraph each; None if other paragraphs than these came out."""
    # Beside jemalloc, which speeds training up, Apertium ends at once.
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    done = subprocess.run(
        ["apertium", "-u", direction], input="".join(f"{text}\n\n" for text in texts).encode(),
        stdout=subprocess.PIPE, env=environment, check=False,
    )  # fmt: skip
    lines = done.stdout.decode(errors="replace").removesuffix("\n").split("\n")
    if done.returncode or len(lines) != 2 * len(texts) or any(map(str.strip, lines[1::2])):
        return None
    return [clean(text) for text in lines[::2]]


def translate(direction: str, texts: list[str]) -> list[str]:
    """One translation a text; what gets lost or mixed up among the others is done again apart."""
    if not texts:
        return []
    translations = run_apertium(direction, texts)
    if translations is None and len(texts) == 1:
        raise LaftError(f"apertium {direction} fails on the line {texts[0][:60]!r}")
    if translations is None or (len(texts) > 1 and not any(translations)):
        middle = len(texts) // 2
        return translate(direction, texts[:middle]) + translate(direction, texts[middle:])
    lost = [i for i, text in enumerate(translations) if not text and len(texts) > 1]
    for i, text in zip(lost, translate(direction, [texts[i] for i in lost]), strict=True):
        translations[i] = text
    return translations


def translate_lines(directions: list[str], lines: list[str]) -> list[str]:
    """Translate lines through all directions, in order."""
    for direction in directions:
        cut = [chunks(clean(line)) for line in lines]
        sent = [chunk for parts in cut for chunk in parts if is_text(chunk)]
        done = iter(translate(direction, sent))
        lines = [" ".join(next(done) if is_text(c) else c for c in parts) for parts in cut]
    return [clean(line) for line in lines]


def known_directions() -> list[str]:
    """The directions that are installed."""
    if shutil.which("apertium") is None:
        raise LaftError(f"no apertium here: {INSTALL}")
    listing = subprocess.run(["apertium", "-l"], capture_output=True, text=True, check=False)
    return listing.stdout.split()


def version() -> str:
    """Apertium's version and, where dpkg knows them, those of its language packages."""
    known_directions()
    engine = subprocess.run(["apertium", "-V"], capture_output=True, text=True, check=False)
    versions = [engine.stdout.strip()]
    if shutil.which("dpkg-query"):
        query = ["dpkg-query", "-W", "-f", "${Package} ${Version}\\n", "apertium-*-*"]
        packages = subprocess.run(query, capture_output=True, text=True, check=False).stdout
        versions += [line for line in packages.splitlines() if len(line.split()) == 2]
    return "; ".join(versions)


def main(arguments: list[str]) -> None:
    """Translate stdin, or print the version."""
    if arguments == ["--version"]:
        print(version())
        return
    known = known_directions()
    for direction in arguments:
        if direction not in known:
            raise LaftError(f"no direction {direction} (there are {', '.join(known)})")
    lines = split_lines(sys.stdin.buffer.read().decode(errors="replace"))
    out = "".join(f"{line}\n" for line in translate_lines(arguments, lines))
    sys.stdout.buffer.write(out.encode())


if __name__ == "__main__":
    if not sys.argv[1:] or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        sys.exit(0 if sys.argv[1:] else 2)
    sys.exit(run_command("apertium_lines", lambda: main(sys.argv[1:])))
