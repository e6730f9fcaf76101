"""Bounds on the errors of a temper-then-tilt estimate: one file a family of statements.

:func:`evaluate` gives all that hold for one mixture and classifier, :func:`guarantee` those
that need the classifier's excess risk only and so hold for every classifier that has it.
"""

from t3theory.bounds.bound import Bound
from t3theory.bounds.evaluate import evaluate, guarantee
from t3theory.bounds.necessity import necessity_forget_error, necessity_instance

__all__ = ["Bound", "evaluate", "guarantee", "necessity_forget_error", "necessity_instance"]
