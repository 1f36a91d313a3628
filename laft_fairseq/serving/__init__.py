"""A page in the browser on which a model is tried: `laft serve`."""
