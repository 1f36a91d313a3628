"""What a training run needs beside fairseq: precision, frozen weights, caches, processes."""
