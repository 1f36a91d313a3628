#!/usr/bin/env bash
# Everything that the paper's tables need, by the public commands: --help shows the options.
#   examples/ddtp/tables.sh                  about seven hours on two cores
#   BUDGET=evening examples/ddtp/tables.sh   about an hour
# Killed at any point, the same command goes on where it stopped. README.md says more.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec "${PYTHON:-python}" -m examples.ddtp.tables "$@"
