"""What representations and parameter counts say about a model (Figure 2, Table 3)."""
