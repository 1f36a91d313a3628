"""LAFT, language-agnostic finetuning (Wu, Zheng, Zhou, Yu, INLG 2022), as a fairseq plug-in.

fairseq imports this package for ``--user-dir laft_fairseq``, and everything is then registered
(register.py). Where fairseq is not loaded, as in ``laft --help``, nothing waits for it; import
``laft_fairseq.register`` to register from Python.
"""

import sys

if "fairseq" in sys.modules:
    from laft_fairseq import register  # noqa: F401
