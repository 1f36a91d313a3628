"""The command `laft`: one file a subcommand.

A subcommand `import-hf` is the file `import_hf.py` with two functions:

    add_parser(subparsers)   adds the parser "import-hf", its help with an example
    run(args) -> int         does the work, returns the exit status

Nothing else has to be told: `main.py` finds the file. Only the standard library and
`laft_fairseq.errors` are imported at the top; torch, fairseq and whatever imports them come
inside functions, so that `laft --help` answers at once.
"""
