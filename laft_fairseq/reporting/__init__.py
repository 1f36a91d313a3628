"""The paper's tables from result files: read, compare, and write the page; nothing is run.

`results` reads and `schemas` checks; `statistics` holds the mathematics, and `comparisons` applies
it; `tables`, `details` and `charts` are what `page` puts into its templates.
"""
