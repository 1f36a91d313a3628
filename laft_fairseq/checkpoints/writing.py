"""Writing a torch file: the same content is the same bytes, and progress is shown."""

from pathlib import Path
from typing import Any

import torch
from tqdm.utils import CallbackIOWrapper

from laft_fairseq.progress import progress


def save_torch(content: dict[str, Any], path: Path) -> None:
    """Write ``content``, a checkpoint with its tensors under "model", as torch does.

    Equal content is equal bytes: torch would put the name of a file, a temporary one, into it.
    """
    storages = [tensor.untyped_storage() for tensor in content["model"].values()]
    size = sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
    with path.open("wb") as file, progress(f"writing {path.name}", size, "bytes", True) as bar:
        torch.save(content, CallbackIOWrapper(bar.update, file, "write"))
