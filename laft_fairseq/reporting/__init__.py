"""The paper's tables from result files: read, compare, and write the page; nothing is run.

`results` reads and `schemas` checks; `statistics` holds the mathematics, and `comparisons` applies
it; `page` makes tables and charts; `templates` say what stands on the page, in HTML and Markdown.
"""
