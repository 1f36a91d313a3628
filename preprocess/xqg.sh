#!/usr/bin/env bash
# XQG: the XNLG project's files -> OUT/raw and OUT/data-bin, source = evidence and answer, target =
# question. --help shows how.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "${PYTHON:-python}" "$here/xnlg.py" xqg "$@"
