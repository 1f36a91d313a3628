# The steps of run.sh, one function each; run.sh sets the variables. Other recipes use them too.
set -euo pipefail

# cut_text FOLDER LANG MONO.xz: shorten LANG's test and validation pairs, write the test's two sides
# and the monolingual text, of which the last 50 lines are for validation.
cut_text() {
  local folder=$1 lang=$2 mono=$3 split items
  for split in test valid; do
    items=$TEST_ITEMS
    [ "$split" = test ] || items=$VALID_ITEMS
    [ ! -e "$folder/$lang.$split.tsv" ] ||
      sed -i "$((items + 1)),\$d" "$folder/$lang.$split.tsv"
  done
  cut -f3 "$folder/$lang.test.tsv" > "$folder/$lang.test.src"
  cut -f4 "$folder/$lang.test.tsv" > "$folder/$lang.test.tgt"
  xz -dc "$mono" > "$folder/mono.$lang"
  tail -n 50 "$folder/mono.$lang" > "$folder/mono.$lang.valid"
  head -n -50 "$folder/mono.$lang" > "$folder/mono.$lang.train"
}

raw_text() {
  local source=examples/ddtp/data work=$RAW.partial lang split
  if [ "$FULL" = 1 ]; then
    source=$OUT/full-data
    preprocess/ddtp.sh "$OUT/full"
    python preprocess/ddtp.py extract --ddtp "$OUT/full" --mono examples/ddtp/data --out "$source" \
      --pairs 0 --valid 0 --valid-target 0 --mono-bytes 0
  fi
  for lang in en_XX $TARGETS; do
    [ -e "$source/$lang.test.tsv.xz" ] || {
      echo "$source: no $lang.test.tsv.xz; TARGETS names languages that it has" >&2
      return 1
    }
  done
  rm -rf "$work" && mkdir -p "$work"
  for lang in en_XX $TARGETS; do
    for split in train valid test; do
      [ -e "$source/$lang.$split.tsv.xz" ] || continue
      xz -dc "$source/$lang.$split.tsv.xz" > "$work/$lang.$split.tsv"
    done
    cut_text "$work" "$lang" "$source/mono.$lang.txt.xz"
  done
  mv "$work" "$RAW"
}

binarize_pairs() {
  local lang=$1 splits=(--test "$RAW/$1.test.tsv")
  [ ! -e "$RAW/$lang.valid.tsv" ] || splits+=(--valid "$RAW/$lang.valid.tsv")
  [ ! -e "$RAW/$lang.train.tsv" ] || splits+=(--train "$RAW/$lang.train.tsv")
  preprocess/binarize.sh pairs --backbone "$BACKBONE" --lang "$lang" --out "$DATA" "${splits[@]}"
  touch "$DATA/$lang/.pairs.done"
}

binarize_mono() {
  preprocess/binarize.sh mono --backbone "$BACKBONE" --lang "$1" --out "$DATA" \
    --train "$RAW/mono.$1.train" --valid "$RAW/mono.$1.valid"
  touch "$DATA/$1/.mono.done"
}

components() {
  laft components --backbone "$BACKBONE/model.pt" --data "$DATA" --langs "$LANGS" \
    --num-components 6 ${MAX_SENTENCES:+--max-sentences "$MAX_SENTENCES"} \
    --out "$OUT/components.safetensors"
}

stage1() {
  train "$OUT/laft/stage1" --task laft_denoising --method laft --removal "$REMOVAL" \
    --language-components "$OUT/components.safetensors" --train-langs "$LANGS" \
    --criterion cross_entropy --max-tokens "${MAX_TOKENS:-4096}" --update-freq "${UPDATE_FREQ:-1}" \
    --lr "$STAGE1_LR" --warmup-updates "${WARMUP:-50}" \
    --total-num-update "$STAGE1_UPDATES" --max-update "$STAGE1_UPDATES"
}

stage2() {
  local method=$1 lr=$FULL_LR tokens=4096 options=(--criterion cross_entropy)
  case $method in
    laft)
      lr=$STAGE2_LR
      options+=(--removal "$REMOVAL" --language-components "$OUT/components.safetensors"
        --finetune-from-model "$OUT/laft/stage1/checkpoint_best.pt") ;;
    tm_adv*)
      tokens=8192 # half of the rows are not annotated
      options=(--criterion laft_adversarial --label-smoothing 0.1 --target-langs "${LANGS#en_XX,}") ;;
  esac
  train "$OUT/$method/stage2" --task laft_generation --method "$method" --train-langs en_XX \
    --max-tokens $tokens --lr "$lr" --warmup-updates 50 \
    --total-num-update "$STAGE2_UPDATES" --max-update "$STAGE2_UPDATES" "${options[@]}"
}

parameters() {
  local vocabulary languages=25 # mBART-cc25's
  [ ! -e "$BACKBONE/langs.txt" ] || languages=$(grep -c . "$BACKBONE/langs.txt")
  vocabulary=$(($(grep -c . "$BACKBONE/dict.txt") + languages + 5))
  laft parameters --arch "$ARCH" --method "${1%%.*}" --langs "$LANGS" --vocab "$vocabulary" \
    --json "$OUT/$1/parameters.json" > "$OUT/$1/parameters.txt"
}

generate() {
  local method=$1 lang=$2 log=$OUT/$1/generate.$2
  fairseq-generate "$DATA" --user-dir "$USER_DIR" --task laft_generation --gen-lang "$lang" \
    --path "$OUT/$method/stage2/checkpoint_best.pt" --beam "$BEAM" --lenpen "$LENPEN" \
    --max-len-b 64 --batch-size 32 --bpe sentencepiece "${DEVICE[@]}" \
    --sentencepiece-model "$BACKBONE/sentence.bpe.model" > "$log.partial" 2> "$log.err" ||
    { tail -n 3 "$log.err" >&2; return 1; }
  mv "$log.partial" "$log.log"
}

score() {
  local method=$1 lang=$2 english=()
  [ "$lang" = en_XX ] || english=(--english-ref "$RAW/en_XX.test.tgt")
  laft score --generate-log "$OUT/$method/generate.$lang.log" --lang "$lang" --langs "$LANGS" \
    --ref "$RAW/$lang.test.tgt" --src "$RAW/$lang.test.src" "${english[@]}" --floors \
    --json "$OUT/$method/score.$lang.json" > "$OUT/$method/score.$lang.txt"
}

figure() {
  laft tsne --checkpoint "$OUT/laft/stage2/checkpoint_best.pt" --data "$DATA" --langs "$LANGS" \
    --split test --parallel --out "$OUT/figure2.png" --json "$OUT/figure2.json"
}
