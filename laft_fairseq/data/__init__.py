"""The data sets of both stages: tagged texts, infilling, adversarial batches."""
