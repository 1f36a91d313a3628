"""`python -m laft_fairseq.cli` is `laft`."""

import sys

from laft_fairseq.cli.main import main

sys.exit(main())
