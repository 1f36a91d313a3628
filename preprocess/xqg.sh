#!/usr/bin/env bash
# XQG: the XNLG project's files -> OUT/raw and OUT/data-bin, source = evidence and answer, target =
# question. --help shows how.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
needs_modules laft_fairseq regex sacremoses sentencepiece
run_module xnlg xqg "$@"
