"""The paper's tables from result files: read, compare, judge, and render; nothing is run.

`results` reads and checks; `statistics` holds the mathematics; `comparisons` and `verdict` apply
it; `main_tables` and `evidence` say what stands on the page, in the terms of `document`;
`markdown` and `html` write it.
"""
