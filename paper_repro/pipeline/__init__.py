"""The pipeline: what makes what, what is up to date, and the run that makes the rest."""
