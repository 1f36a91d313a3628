#!/usr/bin/env bash
# A random sample of the sentences of a text too big to hold (CC-100's xz files): --help shows how.
# Killed at any point, the same command goes on, and ends with the same sample.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
needs_modules numpy regex tqdm
exec "$python" "$here/cc100.py" "$@"
