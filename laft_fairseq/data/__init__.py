"""The data sets of both stages: tagged examples, infilling, adversarial batches."""
