"""fairseq-train, then a line with what was allocated on the accelerator at most."""

import torch
from fairseq_cli.train import cli_main

if __name__ == "__main__":
    cli_main()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        print(f"cuda_peak_bytes {torch.cuda.max_memory_allocated()}", flush=True)
