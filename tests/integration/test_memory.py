"""Memory does not grow with the number of shapes that batches of texts have."""

import json
import os
import platform
import subprocess
import sys

import pytest

from laft_fairseq.compat.startup import KERNEL_CACHES

PROGRAM = """
import json, sys
import fairseq_cli.train, torch
from laft_fairseq.compat import startup

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

startup.apply()
layer, x = torch.nn.Linear(256, 512), torch.randn(400, 256)
sizes = []
with torch.autocast("cpu", dtype=torch.bfloat16):
    for rows in range(1, 161):
        layer(x[:rows]).sum().backward()
        sizes.append(resident())
blocks = [torch.ones(20_000_000) for _ in range(3)]
del blocks
# MB after 20 shapes of a product, after 160, and when 240 MB more have been freed
print(json.dumps([sizes[19], sizes[-1], resident()]))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="sets glibc's allocator")
def test_kernels_of_past_shapes_are_dropped_and_freed_blocks_are_reused() -> None:
    ours = ("GLIBC_TUNABLES", "MALLOC_", *KERNEL_CACHES)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=kept, check=True, capture_output=True, text=True)
    few, many, freed = json.loads(done.stdout.splitlines()[-1])
    assert many < few + 40
    assert freed > many + 200
