#!/usr/bin/env bash
# XGIGA: the XNLG project's files -> OUT/raw and OUT/data-bin, source = first sentence of an article,
# target = its headline. --help shows how.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "${PYTHON:-python}" "$here/xnlg.py" xgiga "$@"
