"""TOFU's metrics as pure functions: losses, matches and texts in, numbers out.

Losses are mean nats per answer token, end-of-sequence token included.
"""

from llm.tofu.metrics._arrays import EPSILON
from llm.tofu.metrics.extraction_strength import extraction_strength
from llm.tofu.metrics.forget_quality import ForgetQuality, forget_quality
from llm.tofu.metrics.memorization import exact_memorization
from llm.tofu.metrics.min_k import membership_auc, min_k_score
from llm.tofu.metrics.model_utility import model_utility
from llm.tofu.metrics.privacy_leakage import privacy_leakage
from llm.tofu.metrics.probability import normalised_probability, probability
from llm.tofu.metrics.rouge import Rouge, rouge
from llm.tofu.metrics.truth_ratio import closeness_to_one, true_better, truth_ratio

__all__ = [
    "EPSILON",
    "ForgetQuality",
    "Rouge",
    "closeness_to_one",
    "exact_memorization",
    "extraction_strength",
    "forget_quality",
    "membership_auc",
    "min_k_score",
    "model_utility",
    "normalised_probability",
    "privacy_leakage",
    "probability",
    "rouge",
    "true_better",
    "truth_ratio",
]
