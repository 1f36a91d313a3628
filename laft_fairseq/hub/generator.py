"""Raw text in, raw text out: ``load(checkpoint).generate([...], lang="fr_XX")``."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch

from laft_fairseq.checkpoints.record import open_checkpoint
from laft_fairseq.errors import LaftError
from laft_fairseq.hub.loading import checkpoint_file, load_model
from laft_fairseq.hub.raw_text import SubwordTokenizer, vocabulary_of
from laft_fairseq.hub.search import Hypothesis, Search, SearchRun
from laft_fairseq.languages.tags import unknown
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.tasks.laft_generation import LaftGeneration
from laft_fairseq.training.precision import to_half

BUFFER = 1024  # lines read ahead, of which those of similar length share a batch
StrPath = str | os.PathLike[str]


def load(
    checkpoint: StrPath | Sequence[StrPath],
    data: StrPath | None = None,
    sentencepiece_model: StrPath | None = None,
    backbone: StrPath | None = None,
    langs: str | None = None,
    device: str | None = None,
    half: bool = False,
) -> Generator:
    """Load a checkpoint, slim or whole, or a plain mBART backbone, for raw text; weights only.

    Several are an ensemble: their probabilities of the next token are averaged.

    Args:
        checkpoint: as fairseq-train or `laft export` wrote it, or the folder of a model.pt.
        data: folder of dict.txt, langs.txt and tag-layout.txt: a data-bin or the backbone's.
            Default: the checkpoint's folder, the backbone's, the data-bin trained on.
        sentencepiece_model: default: ``sentence.bpe.model`` in one of these folders.
        backbone: of a slim checkpoint, where it is not found by itself (backbone.py).
        langs: the dictionary's tags in order, where no langs.txt says them.
        device: ``cpu``, ``cuda`` or ``cuda:1``; default: cuda where there is one.
        half: compute in fp16 on a GPU, in bf16 elsewhere.

    Raises:
        LaftError: a file is missing, damaged or does not fit the others; no such device.
    """
    target = _device(device)
    paths = [checkpoint] if isinstance(checkpoint, str | os.PathLike) else list(checkpoint)
    if not paths:
        raise LaftError("no checkpoint is given")
    named = None if backbone is None else os.fspath(backbone)
    generator: Generator | None = None
    for path in paths:
        opened = open_checkpoint(checkpoint_file(path))
        files = vocabulary_of(opened, data, sentencepiece_model, named)
        model, task = load_model(opened, str(files.dictionary.parent), langs, named)
        model = to_half(model.to(target)) if half else model.to(target)
        if generator is None:
            tokenizer = SubwordTokenizer(files.sentencepiece, task.dictionary)
            generator = Generator(model, task, tokenizer, opened.path)
        else:
            generator.add(model, task, opened.path)
    assert generator is not None
    return generator


def _device(name: str | None) -> torch.device:
    """The device of this name, where the machine has it."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device).tolist()  # "meta" has no numbers
    except (RuntimeError, AssertionError):
        raise LaftError(f"--device {name}: this machine or torch has no such device") from None
    return device


class Generator:
    """A loaded model that writes raw text; made by :func:`load`.

    It may be used by several threads: their searches, each of a batch, come one after another, as
    the decoder's beam is that of one search.

    Args:
        model: in eval.
        task: with the model's dictionary; its ``gen_lang`` is set here.
        tokenizer: of the dictionary's sentencepiece model.
        name: of the checkpoint, for errors.
    """

    def __init__(
        self, model: LAFTMBart, task: LaftGeneration, tokenizer: SubwordTokenizer, name: str
    ) -> None:
        self.model, self.task, self.tokenizer, self.name = model, task, tokenizer, name
        self.models = {name: model}  # of an ensemble more than one
        self._one_search = threading.Lock()

    def add(self, model: LAFTMBart, task: LaftGeneration, name: str) -> None:
        """Make the model one more of an ensemble.

        Raises:
            LaftError: it has another dictionary, other languages or another tag layout.
        """
        first, second = ((t.dictionary.indices, t.tags, t.layout) for t in (self.task, task))
        for what, one, other in zip(
            ("dictionary", "list of languages", "tag layout"), first, second, strict=True
        ):
            if one != other:
                raise LaftError(
                    f"{name}: its {what} is not that of {self.name}; checkpoints of an ensemble "
                    "share both dictionary and tag layout"
                )
        for side in ("max_source_positions", "max_target_positions"):
            setattr(self.task.cfg, side, min(getattr(t.cfg, side) for t in (self.task, task)))
        self.models[name], self.task.checkpoint = model, ""

    def generate(
        self, texts: Sequence[str], lang: str, output_lang: str | None = None, **search: Any
    ) -> list[str]:
        """The best output of each text, in order; that of an empty text is empty.

        Args:
            texts: in the language ``lang``, such as ``fr_XX``.
            lang: whose components are removed.
            output_lang: the language to write in, ``lang`` by default. Another one's mean s_L is
                fused and its adapters are used, which the paper does not do.
            search: fields of :class:`Search`, but ``nbest``.

        Raises:
            LaftError: an unknown language, or one for which the checkpoint lacks a part; options
                that do not go together.
        """
        return list(self.generate_iter(texts, lang, output_lang, len(texts) or 1, **search))

    def generate_iter(
        self,
        texts: Iterable[str],
        lang: str,
        output_lang: str | None = None,
        buffer_size: int = BUFFER,
        **search: Any,
    ) -> Iterator[str]:
        """Yield the best output of each text of a stream, which may have no end.

        ``buffer_size`` texts are read ahead; each output comes when all before it are done.
        Otherwise as :meth:`generate`.
        """
        if search.get("nbest", 1) != 1:
            raise LaftError("nbest: is for hypotheses(), which gives a list for each text")
        beams = self.hypotheses(texts, lang, output_lang, buffer_size, **search)
        return (hypotheses[0].text for hypotheses in beams)

    def hypotheses(
        self,
        texts: Iterable[str],
        lang: str,
        output_lang: str | None = None,
        buffer_size: int = BUFFER,
        on_done: Callable[[int], Any] = lambda count: None,
        **search: Any,
    ) -> Iterator[list[Hypothesis]]:
        """Return an iterator over the lists of each text's ``nbest`` outputs, best first.

        Each output is a :class:`Hypothesis`, a text and its score. An empty text has ``nbest``
        empty outputs of score 0. Where the search ends with fewer than ``nbest`` (everything else
        was forbidden to it), empty ones of score -inf stand for them.

        Args:
            texts: as of :meth:`generate`, or a stream of them.
            lang: as of :meth:`generate`.
            output_lang: as of :meth:`generate`.
            buffer_size: texts read ahead.
            on_done: called after each batch with its number of texts.
            search: fields of :class:`Search`.
        """
        if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
            raise LaftError(f"texts: a list of texts is needed, not a {type(texts).__name__}")
        if buffer_size < 1:
            raise LaftError(f"--buffer-size {buffer_size}: at least 1")
        options, output = Search(**search), output_lang or lang
        self._check_languages(lang, output)
        run = SearchRun(
            list(self.models.values()), self.task, self.tokenizer, options, lang,
            None if output == lang else output, self._one_search,
        )  # fmt: skip
        return _stream(iter(texts), run, buffer_size, on_done)

    def languages(self) -> list[str]:
        """Return the tags that the model can both read and write, in the dictionary's order."""
        usable = []
        for tag in self.task.tags:
            with contextlib.suppress(LaftError):
                self._check_languages(tag, tag)
                usable.append(tag)
        return usable

    def _check_languages(self, lang: str, output: str) -> None:
        """Refuse a language that the dictionary lacks, or that the checkpoint has no part for."""
        for tag, option in ((lang, "--lang"), (output, "--output-lang")):
            if not isinstance(tag, str) or "," in tag:
                raise LaftError(f"{option} {tag}: name one language, such as fr_XX")
            if tag not in self.task.tag_ids:
                raise LaftError(unknown(option, tag, self.name, self.task.tags))
        for name, model in self.models.items():
            encoder, decoder = model.encoder, model.decoder
            if encoder.needs_components:
                components = list(encoder.language_components)
                remedy = "train both stages with {} in --language-components"
                _expect(name, lang, components, "components", remedy)
                if encoder.fusion is not None:
                    _expect(name, output, components, "mean s_L, to be fused in,", remedy)
            if decoder.has_adapters:
                remedy = "train stage 1 with {} among --train-langs"
                _expect(name, output, decoder.adapter_tags(), "adapter", remedy)


def _expect(name: str, tag: str, held: Sequence[str], part: str, remedy: str) -> None:
    if tag not in held:
        raise LaftError(
            f"{name}: holds no {part} of language {tag}, only of {', '.join(held) or 'none'}; "
            f"{remedy.format(tag)}"
        )


def _stream(
    texts: Iterator[str], run: SearchRun, buffer_size: int, on_done: Callable[[int], Any]
) -> Iterator[list[Hypothesis]]:
    """Yield the hypotheses of each text, a buffer at a time."""
    read = 0
    while buffer := list(islice(texts, buffer_size)):
        yield from run.outputs(buffer, read, on_done)
        read += len(buffer)
