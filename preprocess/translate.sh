#!/usr/bin/env bash
# Translate a TSV of pairs or a text file with any line-by-line command, in shards: --help shows how.
# Killed at any point, the same command goes on with the shards that are not finished.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "${PYTHON:-python3}" "$here/translate.py" "$@"
