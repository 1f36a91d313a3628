#!/usr/bin/env bash
# Apertium as a line-by-line engine: one line out for one line in, whatever the lines hold.
#   preprocess/apertium_lines.sh eng-cat cat-fra < english.txt > french.txt
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "${PYTHON:-python3}" "$here/apertium_lines.py" "$@"
