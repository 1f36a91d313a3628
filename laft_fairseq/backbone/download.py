"""A Hugging Face directory by its path, or downloaded by its name on the Hub."""

import re
from pathlib import Path

from laft_fairseq.errors import LaftError, in_one_line

DOWNLOADED = ["*.json", "*.safetensors", "sentencepiece.bpe.model"]


def find_directory(name: str, revision: str | None = None) -> tuple[Path, str]:
    """Return a directory, or a model's of this name on the Hub, downloaded, and its commit or "".

    Of the Hub only safetensors, JSON files and the sentencepiece model are fetched, into
    huggingface_hub's own cache.

    Raises:
        LaftError: there is none, or it cannot be fetched, or has no safetensors.
    """
    path = Path(name)
    if path.exists():
        return path, ""
    if not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name):
        raise LaftError(
            f"{name}: no such directory; give a downloaded Hugging Face model, or its name on the "
            "Hub, such as facebook/nllb-200-distilled-600M"
        )
    try:
        import huggingface_hub

        path = Path(
            huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=DOWNLOADED)
        )
    except Exception as error:  # of huggingface_hub or the network, of any kind
        raise LaftError(
            f"{name}: no such directory, and it cannot be downloaded ({in_one_line(error)}); "
            "download it where there is a network, and give the directory"
        ) from None
    if not any(path.glob("*.safetensors")):
        raise LaftError(
            f"{name}: has no safetensors at this revision; name one that has them by --revision "
            f"(refs/pr/N), or give the directory of `hf download {name} --local-dir DIR`"
        )
    return path, path.name
