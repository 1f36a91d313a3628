"""What a training run needs beside fairseq: precision, caches, processes, resuming."""
