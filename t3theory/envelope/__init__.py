"""Statement I: the largest error that a budget of excess risk allows, certified from both sides."""

from t3theory.envelope.certificate import Certificate, worst_case

__all__ = ["Certificate", "worst_case"]
