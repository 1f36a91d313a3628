"""The files that describe a vocabulary, in a backbone's folder and in a data-bin."""

DICTIONARY = "dict.txt"  # the subwords, with counts
SENTENCEPIECE = "sentence.bpe.model"
LANGS_FILE = "langs.txt"  # the backbone's tags, in dictionary order
LAYOUT_FILE = "tag-layout.txt"  # where the tag stands (layout.py)
NEW_LANGS_FILE = "new-langs.txt"  # tags of languages new to the backbone, in dictionary order
