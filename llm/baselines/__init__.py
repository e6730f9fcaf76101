"""Baselines that train the model's weights to forget: one loss a file, one loop for all.

A loss takes the forget answers of a batch, as log-probabilities under the model and under
the model before unlearning, and returns a number to minimise. The loop adds the mean loss
on retain answers, weighted.
"""
