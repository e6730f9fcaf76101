"""The TOFU benchmark: its data, a small generated stand-in, its metrics, its evaluation."""
