"""The command `laft`: one file a subcommand.

A subcommand `import-hf` is the file `import_hf.py` with

    HELP, EPILOG             its line in `laft --help`, and the end of its own, with an example
    DESCRIPTION              the beginning of its help; without one it is the file's docstring
    add_arguments(parser)    adds its options
    run(args) -> int         does the work, returns the exit status

Nothing else has to be told: `main.py` finds the file. Only the standard library and
`laft_fairseq.errors` are imported at the top; torch, fairseq and whatever imports them come
inside functions, so that `laft --help` answers at once.
"""
