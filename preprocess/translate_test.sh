#!/usr/bin/env bash
# Translate-test: sources into English, an English model's outputs, these translated back, scores.
#
#   preprocess/translate_test.sh --src fr.test.src --ref fr.test.tgt --lang fr_XX --out OUT \
#     --checkpoint stage2/checkpoint_best.pt --backbone DIR \
#     --to-english 'preprocess/apertium_lines.sh fra-cat cat-eng' \
#     --from-english 'preprocess/apertium_lines.sh eng-cat cat-fra'
#
# --src and --ref hold one text a line; --backbone has sentence.bpe.model, dict.txt and, unless its
# languages are mBART-cc25's, langs.txt.
#   --version-command COMMAND  the engine's version, recorded with the translations
#   --english FILE             where the translated sources are kept (OUT/english.txt); name the same
#                              file for several models and they are translated once
#   --english-ref FILE         references in English, for laft score
#   --beam 5 --lenpen 1.5 --max-len 64 --jobs 1
#   --generate 'OPTIONS'       more options for fairseq-generate, parted by spaces
#   --score 'OPTIONS'          more options for laft score, such as '--trivial-baselines'
#
# Writes OUT/hypotheses.en_XX.txt, OUT/hypotheses.LANG.txt (a line for each line of --src, in its
# order), OUT/score.LANG.json and .txt, and provenance beside each translation. Killed at any point,
# the same command goes on; what a changed option does not concern is not made again.
# fairseq-generate, laft and python are those on the PATH.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

declare -A given=([beam]=5 [lenpen]=1.5 [max-len]=64 [jobs]=1 [generate]='' [score]=''
  [version-command]='' [english]='' [english-ref]='')
needed=(src ref lang out checkpoint backbone to-english from-english)
while [ $# -gt 0 ]; do
  name=${1#--}
  case $1 in
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    --*) [[ " ${needed[*]} ${!given[*]} " == *" $name "* ]] || fail "unknown option $1 (--help)"
      [ $# -gt 1 ] || fail "$1 needs a value"
      given[$name]=$2; shift 2 ;;
    *) fail "unknown argument $1 (--help)" ;;
  esac
done
for name in "${needed[@]}"; do [ -n "${given[$name]:-}" ] || fail "--$name is missing (--help)"; done
for name in src ref checkpoint ${given[english-ref]:+english-ref}; do
  [ -f "${given[$name]}" ] || fail "${given[$name]}: no such file (--$name)"
done
needs_modules sentencepiece
needs_commands fairseq-preprocess fairseq-generate laft
english_ref=(${given[english-ref]:+--english-ref "${given[english-ref]}"})

# Before anything is translated: what binarize.sh would refuse later on is refused now.
checked=$(mktemp -d)
trap 'rm -rf "$checked"' EXIT
[[ ${given[lang]} =~ ^[a-z]{2,3}_[A-Z][A-Za-z]{1,3}$ ]] ||
  fail "--lang ${given[lang]}: name it by its tag, such as fr_XX or zh_CN"
for name in ref ${given[english-ref]:+english-ref}; do
  "$here/binarize.sh" pairs --backbone "${given[backbone]}" --lang en_XX --out "$checked" \
    --test "${given[src]}" "${given[$name]}" > /dev/null
done

out=${given[out]} lang=${given[lang]} english=${given[english]:-${given[out]}/english.txt}
if nvidia-smi -L > /dev/null 2>&1; then device=(); else device=(--cpu); fi
read -ra generate_options <<< "${given[generate]}"
read -ra score_options <<< "${given[score]}"

# settings: what OUT/generate.log is made with. translate.sh looks after the translations itself,
# and scores are made anew each time.
settings() {
  local name
  for name in src checkpoint; do sha256sum < "${given[$name]}" | sed "s/-$/$name/"; done
  for name in backbone to-english beam lenpen max-len generate version-command; do
    echo "$name ${given[$name]}"
  done
}

mkdir -p "$out"
settings > "$checked/settings"
if [ -e "$out/generate.log" ]; then
  changed=$(grep -vxFf "$out/settings" "$checked/settings" | sed -n 1p) || true
  [ -z "$changed" ] || fail "$out was begun with other settings (now $changed): name another --out"
fi

translate() { # INPUT OUTPUT COMMAND
  "$here/translate.sh" --in "$1" --out "$2" --command "$3" --jobs "${given[jobs]}" \
    ${given[version-command]:+--version-command "${given[version-command]}"}
}

translate "${given[src]}" "$english" "${given[to-english]}"

if [ ! -e "$out/generate.log" ]; then
  user_dir=$(laft user-dir)
  "$here/binarize.sh" pairs --backbone "${given[backbone]}" --lang en_XX --out "$out/data-bin" \
    --test "$english" "${given[ref]}"
  fairseq-generate "$out/data-bin" --user-dir "$user_dir" --task laft_generation \
    --gen-lang en_XX --path "${given[checkpoint]}" --beam "${given[beam]}" \
    --lenpen "${given[lenpen]}" --max-len-b "${given[max-len]}" --batch-size 32 \
    --bpe sentencepiece --sentencepiece-model "${given[backbone]}/sentence.bpe.model" \
    "${device[@]}" "${generate_options[@]}" > "$out/generate.partial" 2> "$out/generate.err" ||
    fail "fairseq-generate failed ($out/generate.err): $(tail -n 1 "$out/generate.err")"
  rm -f "$out/hypotheses.en_XX.txt" # of a log that was removed
  mv "$checked/settings" "$out/settings"
  mv "$out/generate.partial" "$out/generate.log"
fi
# The scores of this step are not kept: its references are not English.
[ -e "$out/hypotheses.en_XX.txt" ] ||
  laft score --generate-log "$out/generate.log" --lang en_XX --ref "${given[ref]}" --src "$english" \
    --write-hypotheses "$out/hypotheses.en_XX.txt" --bootstrap 1 > /dev/null

translate "$out/hypotheses.en_XX.txt" "$out/hypotheses.$lang.txt" "${given[from-english]}"

laft score --hyp "$out/hypotheses.$lang.txt" --ref "${given[ref]}" --src "${given[src]}" \
  --lang "$lang" --json "$out/score.$lang.json" "${english_ref[@]}" "${score_options[@]}" \
  > "$out/score.partial"
mv "$out/score.partial" "$out/score.$lang.txt"
cat "$out/score.$lang.txt"
