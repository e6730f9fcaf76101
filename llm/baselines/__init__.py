"""Baselines that train weights to forget: one loss a file, one small configuration each, one loop.

The files that bear a method's name hold its published formula alone, on tensors;
`objectives` gives it what it needs of a model, `train` is the loop, and
`llm/baselines/<method>.toml` holds its constants.
"""
