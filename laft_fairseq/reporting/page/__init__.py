"""The page: its tables and charts as data, and the templates that write it."""
