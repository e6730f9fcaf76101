"""Figures, each built from records alone."""
