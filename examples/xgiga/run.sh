#!/usr/bin/env bash
# Headlines from English to French and Chinese on XGIGA, with the paper's settings: every step by
# the public commands. The data is not in this repository: README.md says where it comes from.
#
#   XGIGA=xgiga BACKBONE=mbart.cc25 examples/xgiga/run.sh
#
# XGIGA        folder of XNLG's files {train,dev,test}.{x,y}.{en,fr,zh}
# BACKBONE     folder with model.pt, dict.txt, sentence.bpe.model (mbart.cc25)
# ARCH         its architecture (laft_mbart)
# METHODS      rows (laft mbart_full mbart_enc mbart_enc_top2 adapter tm_adv)
# TARGETS      languages beside English (fr_XX zh_CN); TESTS: to generate in (TARGETS)
# MONO         unlabelled text: sources (of each language's training set), or a folder with
#              mono.<tag>.txt or <tag>.txt, plain, .gz or .xz (sources)
# TRANSLATED   folder with <tag>.train.tsv: translate-train as well (none)
# LRS          learning rates to choose from (1e-4 3e-5)
# CHOOSE       by validation ROUGE-L in: source, English; target, the targets as in the paper (source)
# UPDATES      of each training (40000); STAGE1_UPDATES and STAGE2_UPDATES set them apart
# WARMUP       updates (10000), before linear decay
# OUT          folder of all results (examples/xgiga/out)
# STAGE1_LR, MAX_TOKENS, UPDATE_FREQ, SAVE_UPDATES, VALID_ITEMS, TEST_ITEMS, MAX_SENTENCES,
# REMOVAL, BEAM, LENPEN, SEED, WORKERS: see README.md
#
# Killed at any point, the same command goes on where it stopped.
set -euo pipefail
cd "$(dirname "$0")/../.."
source examples/common.sh
no_arguments examples/xgiga/run.sh "$@"

TASK=xgiga FILES=${XGIGA:-}
TARGETS=${TARGETS:-fr_XX zh_CN} LENPEN=${LENPEN:-1.5}
source examples/xnlg.sh
xnlg
