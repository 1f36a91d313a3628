#!/usr/bin/env bash
# Translate a TSV of pairs or a text file with any line-by-line command, in shards: --help shows how.
# Killed at any point, the same command goes on with the shards that are not finished.
set -euo pipefail
PYTHON=${PYTHON:-python3} # no packages are needed
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
run_module translate "$@"
