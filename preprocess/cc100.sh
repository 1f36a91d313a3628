#!/usr/bin/env bash
# A random sample of the sentences of a text too large for memory (CC-100): --help shows how.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
needs_modules duckdb regex tqdm
run_module cc100 "$@"
