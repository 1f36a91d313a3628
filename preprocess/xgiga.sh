#!/usr/bin/env bash
# XGIGA: the XNLG project's files -> OUT/raw and OUT/data-bin, source = first sentence of an article,
# target = its headline. --help shows how.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
needs_modules laft_fairseq regex sacremoses sentencepiece
run_module xnlg xgiga "$@"
