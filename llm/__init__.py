"""The estimator on a causal language model. Imports nothing, so that records can be read without torch."""
