"""Scores of generated text: ROUGE with intervals, the language of the output, copying.

Read in this order: `tokenizers` (what a token is), `rouge` (F, intervals, signature),
`language_id`, `measures` (BLEU, chrF, copied, novel tokens, lengths), `trivial_baselines`,
`report` (all of them together), `fairseq_log` (hypotheses from a fairseq-generate log) and
`fairseq_scorer` (`--scoring rouge`, the only module here that needs fairseq).
"""
