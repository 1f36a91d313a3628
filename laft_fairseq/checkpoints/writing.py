"""Writing a torch file: the same content is the same bytes, and progress is shown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from laft_fairseq.progress import progress


def save_torch(content: dict[str, Any], path: Path) -> None:
    """Write ``content``, a checkpoint with its tensors under "model", as torch does.

    Equal content is equal bytes: torch would put the name of a file, a temporary one, into it.
    """
    storages = [tensor.untyped_storage() for tensor in content["model"].values()]
    size = sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
    with path.open("wb") as file, progress(f"writing {path.name}", size, "bytes", True) as bar:
        counted: Any = _Counted(file, bar.update)
        torch.save(content, counted)


class _Counted:
    """A file to write to that tells how much was written."""

    def __init__(self, file: Any, on_written: Callable[[int], Any]) -> None:
        self.file, self.on_written, self.flush = file, on_written, file.flush

    def write(self, content: Any) -> int:
        """Write the bytes and return their number."""
        count: int = self.file.write(content)
        self.on_written(count)
        return count
