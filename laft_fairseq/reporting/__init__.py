"""The paper's tables from result files: read, compare, and write the page; nothing is run.

`results` reads and checks; `statistics` holds the mathematics and `comparisons` applies it; `page`
makes the tables and charts; `templates` say what stands on the page, and write HTML and Markdown.
"""
