"""fairseq-train, then a line with what was allocated on the accelerator at most."""

import torch
from fairseq_cli.train import cli_main

PEAKS = [0]  # bytes; fairseq begins its count anew after each update
RESET = torch.cuda.reset_peak_memory_stats


def reset(*args: object) -> None:
    """Keep what was the peak so far."""
    PEAKS.append(torch.cuda.max_memory_allocated())
    RESET(*args)


if __name__ == "__main__":
    torch.cuda.reset_peak_memory_stats = reset
    cli_main()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        print(f"cuda_peak_bytes {max(*PEAKS, torch.cuda.max_memory_allocated())}", flush=True)
