#!/usr/bin/env bash
# Questions from English to Chinese on XQG, with the paper's settings: every step by the public
# commands. The data is not in this repository: README.md says where it comes from.
#
#   XQG=xqg BACKBONE=mbart.cc25 examples/xqg/run.sh
#
# XQG          folder of XNLG's files {train,dev,test}.{q,a,e}.{en,zh}.lc
# BACKBONE     folder with model.pt, dict.txt, sentence.bpe.model (mbart.cc25)
# ARCH         its architecture (laft_mbart)
# METHODS      rows (laft mbart_full mbart_enc mbart_enc_top2 adapter tm_adv)
# TESTS        languages to generate in (zh_CN)
# MONO         unlabelled text: sources (the evidence of each language's training set), or a folder
#              with mono.<tag>.txt or <tag>.txt, plain, .gz or .xz (sources)
# SEPARATOR    between evidence and answer (⏎, or | where the backbone's pieces lack that)
# TRANSLATED   folder with zh_CN.train.tsv: translate-train as well (none)
# LRS          learning rates to choose from (1e-4 3e-5)
# CHOOSE       by validation ROUGE-L in: source, English; target, Chinese as in the paper (source)
# UPDATES      of each training (40000); STAGE1_UPDATES and STAGE2_UPDATES set them apart
# WARMUP       updates (10000), before linear decay
# OUT          folder of all results (examples/xqg/out)
# STAGE1_LR, MAX_TOKENS, UPDATE_FREQ, SAVE_UPDATES, VALID_ITEMS, TEST_ITEMS, MAX_SENTENCES,
# REMOVAL, BEAM, LENPEN, SEED, WORKERS: see README.md
#
# Killed at any point, the same command goes on where it stopped.
set -euo pipefail
cd "$(dirname "$0")/../.."
source examples/common.sh
no_arguments examples/xqg/run.sh "$@"

TASK=xqg FILES=${XQG:-}
TARGETS=zh_CN LENPEN=${LENPEN:-3}
source examples/xnlg.sh
xnlg
