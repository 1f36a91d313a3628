#!/usr/bin/env bash
# Apertium as a line-by-line engine: one line out for one line in, whatever the lines hold.
#   preprocess/apertium_lines.sh eng-cat cat-fra < english.txt > french.txt
set -euo pipefail
PYTHON=${PYTHON:-python3} # no packages are needed
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
run_module translate.apertium_lines "$@"
