"""Languages: tags, layouts, dictionaries, scripts and languages new to a backbone."""
