"""Builders that tests share: a tiny dictionary, task, model and data set; fairseq in process.

`fairseq_cli` is imported inside the functions only: its modules configure logging when imported.
"""

import contextlib
import io
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder
from torch import Tensor

from laft_fairseq.checkpoints.header import HEADER_KEY, Header, pop_header
from laft_fairseq.errors import LaftError
from laft_fairseq.languages import tags as language_tags
from laft_fairseq.languages.dictionary import MASK
from laft_fairseq.languages.vocabulary_files import LAYOUT_FILE
from laft_fairseq.models.architectures import laft_mbart_tiny
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.tasks.laft_denoising import LaftDenoising, LaftDenoisingOptions
from laft_fairseq.tasks.laft_generation import LaftGeneration, LaftGenerationOptions

PACKAGE = Path(__file__).parents[1] / "laft_fairseq"
TAGS = ("en_XX", "fr_XX", "zh_CN")
D, K = 32, 3  # the tiny model's width; components a language
BYTES = ("<0xE4>", "<0xB8>", "<0xAD>")  # 中 in UTF-8
# Words of two pieces for en and fr, characters and a character in bytes for zh.
PIECES = (
    *(f"\u2581w{n}" for n in range(12)),
    *(f"c{n}" for n in range(12)),
    *"一二三四五六七八",
    *BYTES,
)
STAGES = {
    "denoising": (LaftDenoising, LaftDenoisingOptions),
    "generation": (LaftGeneration, LaftGenerationOptions),
}


def pieces_dictionary() -> Dictionary:
    """The dictionary as dict.txt holds it."""
    dictionary = Dictionary()
    for piece in PIECES:
        dictionary.add_symbol(piece)
    return dictionary


def dictionary(tags: Sequence[str] = TAGS, new: Sequence[str] = ()) -> Dictionary:
    """The dictionary in full: pieces, tags, `<mask>`, tags of new languages."""
    full, symbol = pieces_dictionary(), language_tags.symbol
    for entry in [*map(symbol, tags), MASK, *map(symbol, new)]:
        full.add_symbol(entry)
    return full


def ids(text: str, tags: Sequence[str] = TAGS) -> list[int]:
    """The token ids of space-separated dictionary entries, each of which must be known."""
    full = dictionary(tags)
    found = [full.index(entry) for entry in text.split()]
    assert full.unk() not in found, text
    return found


def task(
    stage: str = "generation",
    tags: Sequence[str] = TAGS,
    new: Sequence[str] = (),
    **options: Any,
) -> Any:
    """A task of the stage that has read no file."""
    kind, kind_of_options = STAGES[stage]
    options = {"data": "data-bin", "seed": 1, **options}
    return kind(kind_of_options(**options), dictionary(tags, new), [*tags, *new])


def model(
    stage: str = "generation",
    tags: Sequence[str] = TAGS,
    layout: str | None = None,
    new: Sequence[str] = (),
    **options: Any,
) -> LAFTMBart:
    """`laft_mbart_tiny` without weights' randomness: in eval, with components and adapters.

    Pass `components=False` or `adapters=()` for a barer one.
    """
    components, adapters = options.pop("components", True), options.pop("adapters", [*tags, *new])
    args = Namespace(task=f"laft_{stage}", max_source_positions=64, max_target_positions=64)
    vars(args).update(options)
    laft_mbart_tiny(args)
    torch.manual_seed(7)
    built = LAFTMBart.build_model(args, task(stage, tags, new, tag_layout=layout))
    for tag in adapters:
        built.add_adapter(tag)
    if components and built.encoder.needs_components:
        give_components(built)
    return built.eval()


def give_components(built: LAFTMBart) -> None:
    """Random orthonormal c_L and a mean s_L for every language of the model."""
    generator = torch.Generator().manual_seed(3)
    for tag in built.tags:
        c, _ = torch.linalg.qr(torch.randn(D, K, generator=generator))
        built.encoder.set_components(tag, c, torch.randn(D, generator=generator))


def scramble(module: torch.nn.Module, seed: int = 5, std: float = 0.2) -> None:
    """Fill every parameter with noise, so that nothing is zero, one or equal by chance."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)


def scrambled(stage: str = "generation", std: float = 0.2, **options: Any) -> LAFTMBart:
    """:func:`model` with every part doing something."""
    built = model(stage, **options)
    scramble(built, std=std)
    return built


def write_backbone(folder: Path, tags: Sequence[str] = TAGS) -> Path:
    """model.pt: a whole mBART, as stage 1 of `mbart_full` writes it."""
    built = scrambled("denoising", tags=tags, method="mbart_full")
    torch.save({"model": built.state_dict()}, folder / "model.pt")
    return folder / "model.pt"


def tensors_of(built: torch.nn.Module) -> dict[str, Tensor]:
    """All tensors, whatever a checkpoint would leave out."""
    return torch.nn.Module.state_dict(built)


def header_of(state: dict[str, Any]) -> Header:
    """The header of a checkpoint's model state, which stays as it is."""
    header, _ = pop_header(dict(state))
    assert header is not None
    return header


def rows(texts: Sequence[str], left: bool = True) -> Tensor:
    """(B, T) ids of texts, padded on the left (as sources) or on the right."""
    found = [ids(text) for text in texts]
    width = max(map(len, found))
    padded = [[1] * (width - len(row)) + row if left else row + [1] * (width - len(row))
              for row in found]  # fmt: skip
    return torch.tensor(padded)


def laid_out(texts: Sequence[str], layout: str) -> list[str]:
    """Texts `X </s> [l]` in the tag layout: so, or `[l] X </s>`."""
    if layout == "suffix":
        return list(texts)
    return [" ".join([*text.split()[-1:], *text.split()[:-1]]) for text in texts]


def decoder_inputs(texts: Sequence[str], layout: str) -> list[str]:
    """Decoder inputs `[l] Y` in the tag layout: so, or `</s> [l] Y`."""
    return list(texts) if layout == "suffix" else [f"</s> {text}" for text in texts]


def numpy(tensor: Tensor) -> np.ndarray:
    """Float64, for computations independent of torch."""
    return tensor.detach().double().numpy()


def random_texts(tag: str, count: int, seed: int = 0) -> list[list[int]]:
    """Token ids `X </s>` of random texts of a language: few words each, of its own pieces."""
    rng = np.random.default_rng([seed, *tag.encode()])
    full = dictionary()
    texts = []
    for _ in range(count):
        if tag == "zh_CN":
            pieces = [PIECES[24 + rng.integers(8)] for _ in range(rng.integers(3, 9))]
        else:
            first = 0 if tag == "en_XX" else 6
            words = first + rng.integers(0, 6, size=rng.integers(2, 6))
            pieces = [piece for n in words for piece in (f"\u2581w{n}", f"c{n}")]
        texts.append([full.index(piece) for piece in pieces] + [full.eos()])
    return texts


def write_texts(prefix: Path, texts: Sequence[Sequence[int]]) -> None:
    """Write `prefix.bin` and `prefix.idx` as fairseq-preprocess does."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    builder = MMapIndexedDatasetBuilder(f"{prefix}.bin", dtype=np.uint16)
    for text in texts:
        builder.add_item(torch.tensor(text))
    builder.finalize(f"{prefix}.idx")


def write_dictionary(folder: Path, tags: Sequence[str] = TAGS, layout: str | None = None) -> None:
    """dict.txt and langs.txt, and tag-layout.txt where a layout is named."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces_dictionary().save(str(folder / "dict.txt"))
    (folder / "langs.txt").write_text("".join(f"{tag}\n" for tag in tags))
    if layout is not None:
        (folder / LAYOUT_FILE).write_text(f"{layout}\n")


def write_data(
    folder: Path, count: int = 20, tags: Sequence[str] = TAGS, layout: str | None = None
) -> Path:
    """A data-bin directory: monolingual texts and pairs (a text and its first word)."""
    write_dictionary(folder, tags, layout)
    for tag in tags:
        for seed, split in enumerate(("train", "valid", "test")):
            texts = random_texts(tag, count if split == "train" else 5, seed)
            write_texts(folder / tag / split, texts)
            write_texts(folder / tag / f"{split}.src-tgt.src", texts)
            write_texts(folder / tag / f"{split}.src-tgt.tgt", [[*t[:2], 2] for t in texts])
    return folder


class Harmful:
    """Creates a file when a careless reader unpickles it."""

    def __init__(self, created: Path) -> None:
        self.created = created

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.created,))


def one_line(error: BaseException) -> str:
    """The LaftError that a fairseq command would end with: in `error` or what caused it."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, LaftError):
        cause = cause.__cause__ or cause.__context__
    assert cause is not None, f"no LaftError behind {error!r}"
    message = str(cause)
    assert "\n" not in message
    return message


@contextlib.contextmanager
def command_line(*flags: str | Path, stdin: str = "") -> Iterator[io.StringIO]:
    """sys.argv, stdin and a captured stdout, as a command of fairseq's sees them."""
    argv = ["fairseq", *map(str, flags), "--user-dir", str(PACKAGE)]
    with (
        mock.patch.object(sys, "argv", argv),
        mock.patch.object(sys, "stdin", io.StringIO(stdin)),
        contextlib.redirect_stdout(io.StringIO()) as output,
    ):
        yield output


def train_flags(data: Path, save_dir: Path, stage: str, *flags: str | Path) -> list[str]:
    """What follows `fairseq-train` at the tiny size, but --user-dir."""
    shape = ("--arch", "laft_mbart_tiny", "--max-source-positions", 64,
             "--max-target-positions", 64)  # fmt: skip
    optimisation = ("--optimizer", "adam", "--lr", 0.02, "--criterion", "cross_entropy")
    fixed = ("--cpu", "--num-workers", 0, "--no-progress-bar", "--seed", 3, "--batch-size", 8)
    first = (data, "--task", f"laft_{stage}", "--save-dir", save_dir)
    return [str(word) for word in (*first, *shape, *optimisation, *fixed, *flags)]


def train(data: Path, save_dir: Path, stage: str, *flags: str | Path) -> dict[str, Any]:
    """fairseq-train at the tiny size; returns the last checkpoint's contents."""
    from fairseq import checkpoint_utils
    from fairseq_cli.train import cli_main

    vars(checkpoint_utils.save_checkpoint).pop("best", None)
    with command_line(*train_flags(data, save_dir, stage, *flags)):
        cli_main()
    return torch.load(save_dir / "checkpoint_last.pt", weights_only=True)  # type: ignore[no-any-return]


def generate(data: Path, checkpoint: Path, *flags: str | Path) -> list[str]:
    """The lines that fairseq-generate prints."""
    from fairseq_cli.generate import cli_main

    with command_line(data, "--path", checkpoint, "--cpu", "--num-workers", "0", *flags) as out:
        cli_main()
    return out.getvalue().splitlines()


def interactive(data: Path, checkpoint: Path, text: str, *flags: str | Path) -> list[str]:
    """The lines that fairseq-interactive prints for what it reads from stdin."""
    from fairseq_cli.interactive import cli_main

    with command_line(data, "--path", checkpoint, "--cpu", *flags, stdin=text) as out:
        cli_main()
    return out.getvalue().splitlines()


def whole_state_dict(model: LAFTMBart) -> dict[str, Any]:
    """A model's state with every tensor in it, as `laft export` writes it."""
    state: dict[str, Any] = torch.nn.Module.state_dict(model)
    return state | {HEADER_KEY: model.header("whole", []).to_tensor()}
