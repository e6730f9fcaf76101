"""The ledger: every statement of the theory, once, with its functions, tests and proof.

The command line and docs/theory.md take their text from here; a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LEDGER", "Statement"]


@dataclass(frozen=True)
class Statement:
    """One statement.

    Args:
        letter: its name in code, records and docs.
        title: what it is about.
        text: the statement, in the notation of docs/notation.md.
        functions: dotted names of the functions that compute it.
        tests: test functions that check it, as file::name below tests/.
    """

    letter: str
    title: str
    text: str
    functions: tuple[str, ...]
    tests: tuple[str, ...]

    @property
    def proof(self) -> str:
        """The heading of docs/theory.md below which it is proved."""
        return f"{self.letter}. {self.title}"


_BOUNDS = "t3theory/bounds/test_bounds.py::"
_SYMBOLIC = "t3theory/test_symbolic.py::"
_ENVELOPE = "t3theory/bounds/test_against_envelope.py::"
_BALLS = "t3theory/test_balls.py::"
_BOXES = "t3theory/test_balls_boxes.py::test_proved_on_boxes"
_HOLD = _BOUNDS + "test_every_bound_holds"
_SHARP = "t3theory/bounds/test_sharp.py::test_sharp_and_one_percent_less_is_false"
_FORMULAS = "t3theory/bounds/test_formulas.py::test_values_are_those_of_the_formulas"
_SPIKE = "t3theory/bounds/test_spike.py::test_within_two_of_the_worst_case"
_SPIKE_DUAL = (
    "t3theory/bounds/test_spike.py::"
    "test_dual_without_branching_is_within_two_where_closed_forms_are_not"
)
_GATES = "t3theory/test_gating.py::"
_TEMPERATURES = "t3theory/test_temperature.py::"

_STATEMENTS = (
    Statement(
        "A",
        "Chain-rule identity",
        "δ(f) = (1−γ) KL(P_r‖P̂_r) + γ KL(P_f‖P̂_f) + kl(1−γ‖Ẑ), "
        "so RE_1 ≤ (δ − kl(1−γ‖Ẑ))/(1−γ) (normaliser; identity: with the middle part).",
        ("t3theory.bounds.identity.chain_rule", "t3theory.bounds.identity.identity_bounds"),
        (_BOUNDS + "test_chain_rule_identity", _SYMBOLIC + "test_chain_rule_identity"),
    ),
    Statement(
        "B",
        "Retain error of guidance",
        "RE_1 ≤ δ/(1−γ).",
        ("t3theory.bounds.guidance.retain_rate",),
        (_HOLD, _SHARP, _BALLS + "test_retain_error_of_guidance", _BOXES),
    ),
    Statement(
        "C",
        "Forget error of guidance, slow rate",
        "FE_1 ≤ ‖p_f‖_∞ √(2δ/(1−γ)).",
        ("t3theory.bounds.guidance.slow_rate",),
        (_HOLD, _SHARP, _BALLS + "test_slow_rate", _BOXES),
    ),
    Statement(
        "D",
        "Local Pinsker lemma",
        "|a−b| ≤ √(2a(1−a)k) + k with k = kl(a‖b), so E_P|f−f*| ≤ Δ = min(√(δ/2), √(2Oδ) + δ).",
        (
            "t3theory.bounds.pinsker.local_pinsker",
            "t3theory.bounds.pinsker.gap_bound",
            "t3theory.bounds.pinsker.weighted_gap_bound",
        ),
        (
            _BOUNDS + "test_local_pinsker_sums",
            "t3theory/bounds/test_terms.py::test_every_form_of_the_weighted_sum_is_attained",
            _BALLS + "test_local_pinsker",
            _BALLS + "test_local_pinsker_constants_are_least",
            _BOXES,
        ),
    ),
    Statement(
        "E",
        "Forget error of guidance, fast rate",
        "FE_1 ≤ Δ (‖p_f‖_∞ + E_{P_f}[p_r]) / Ẑ (known normaliser, or a priori its floor); for "
        "disjoint supports FE_1 ≤ ‖p_f‖_∞ δ/Ẑ.",
        ("t3theory.bounds.guidance.fast_rate",),
        (_HOLD, _SHARP),
    ),
    Statement(
        "F",
        "Necessity",
        "P_f uniform on measure 1/h, off the support of P_r; f = 1−e^{−δ/γ} there and 1 elsewhere: "
        "FE_1 = γ(1−e^{−δ/γ}) h/(1−γe^{−δ/γ}), linear in h, and FE_T ≤ (γh/(1−γ))^{1/T}. Of any "
        "mixture and classifier: FE_T ≥ |E_{P_f}[p̂^(T)] − E_{P_f}[p_r]| (Jensen).",
        (
            "t3theory.bounds.necessity.necessity_instance",
            "t3theory.bounds.necessity.necessity_forget_error",
            "t3theory.bounds.necessity.jensen_bounds",
        ),
        (
            _BOUNDS + "test_necessity_value_is_the_error",
            _BOUNDS + "test_necessity_grows_linearly_at_one_and_as_a_root_above",
            _SYMBOLIC + "test_necessity",
        ),
    ),
    Statement(
        "G",
        "Forget error of temper-then-tilt",
        "FE_T ≤ FB_T + [γ^{1/T−1} ‖p_f‖_∞^{1/T} Δ + E_{P_f}[p̂^(T)] D_N] / N* with "
        "|N̂−N*| ≤ D_N ≤ μ(P>0)^{1−1/T} (δ/2)^{1/max(2,T)} (slow; fast: through D; a "
        "priori: E_{P_f}[p*] and N̂ for E_{P_f}[p̂] and N*; weighted: D's weights); "
        "centred, FE_T ≤ FB_T + "
        "max_{0≤m≤M} [√(2φ(m)δ) + δ max(w+mv)] / N̂; and FE_T ≤ ‖p_f‖_∞ √(2RE_T) (through H).",
        ("t3theory.bounds.tempered.forget_bounds", "t3theory.bounds.tempered.log_centred_gap"),
        (
            _FORMULAS,
            _SPIKE,
            _HOLD,
            _SHARP,
            _BALLS + "test_tempered_bounds",
            _BALLS + "test_slow_and_weighted_forms",
            _BALLS + "test_centred_and_through_the_retain_error",
            _BOXES,
        ),
    ),
    Statement(
        "H",
        "Retain error of temper-then-tilt",
        "RE_T ≤ RB_T + (δ+Δ)/(1−γ) + log(1 + D_N/N*) (slow, fast), and "
        "RE_T ≤ RB_T + δ/(1−γ) + E_P[W|f−f*|], W = |p^{1/T−1}/N* − 1/(1−γ)| (weighted).",
        ("t3theory.bounds.tempered.retain_bounds",),
        (
            _HOLD,
            _SHARP,
            _BALLS + "test_tempered_bounds",
            _BALLS + "test_slow_and_weighted_forms",
            _BOXES,
        ),
    ),
    Statement(
        "I",
        "Certified envelope",
        "sup {FE_T(f) : δ(f) ≤ δ} and sup {RE_T(f) : δ(f) ≤ δ}, between a value attained by a "
        "classifier and a rigorous upper bound.",
        ("t3theory.envelope.worst_case",),
        (
            _ENVELOPE + "test_no_guarantee_is_below_an_attained_error",
            _ENVELOPE + "test_closed_form_of_the_overlapping_spike",
            _SPIKE_DUAL,
        ),
    ),
    Statement(
        "J",
        "Choice of temperature",
        "T* = argmin_T of a bound or of the envelope under a retain budget; on the spike family "
        "T* = max(1, log r/log t), 2aXt² + (h−2)(a+X)t = 2(h−1), X = b e^{δ₂/c}, and T* = ∞ where "
        "t ≤ 1. As h → ∞ at fixed δ, X → X∞ and T* ~ log h/log(2/X∞), ∞ if X∞ > 2; along "
        "δ = γh^{−α}, T* → 1/min(α,1).",
        (
            "t3theory.temperature.optimal_temperature",
            "t3theory.temperature.spike_temperature",
            "t3theory.temperature.spike_worst_forget_error",
        ),
        (
            _TEMPERATURES + "test_spike_temperature_minimises_the_worst_case",
            _TEMPERATURES + "test_best_temperature_against_a_fine_grid",
            _TEMPERATURES + "test_no_temperature_is_best_past_the_threshold",
            _TEMPERATURES + "test_fixed_risk_grows_as_the_logarithm",
            _TEMPERATURES + "test_asymptotic_exponent",
        ),
    ),
    Statement(
        "K",
        "From samples to excess risk",
        "add-one classifier: E[δ] ≤ |Z|/(n+1); log-odds ⟨w,φ⟩: δ ≤ a + 2WR/√n + "
        "2WR√(log(2/η)/(2n)); held out: kl⁻¹ or empirical Bernstein.",
        (
            "t3theory.samples.tabular_excess_risk",
            "t3theory.samples.erm_excess_risk",
            "t3theory.samples.heldout_risk_upper_bound",
        ),
        (
            "t3theory/test_samples.py::test_tabular_mean_excess_risk",
            "t3theory/test_samples.py::test_tabular_bound_is_attained_where_labels_are_certain",
            "t3theory/test_samples.py::test_chernoff_bound_is_attained_where_no_loss_was_seen",
            "t3theory/test_samples.py::test_smaller_deviations_are_missed_too_often",
            "t3theory/test_samples.py::test_heldout_bound_covers",
            "t3theory/test_samples.py::test_from_samples_to_forget_error_end_to_end",
        ),
    ),
    Statement(
        "L",
        "Sequences",
        "KL(P_r^{1:L}‖P̂^{1:L}) = Σ_t E_{P_r}[KL(P_r(·|y_<t)‖P̂(·|y_<t))] ≤ Σ_t δ_t/(1−γ) at T = 1, "
        "and ≤ Σ_t [B_t + δ_t/(1−γ) + √(V_t δ_t/2)] at T ≥ 1.",
        (
            "t3theory.sequences.positions",
            "t3theory.sequences.sequence_log_probabilities",
            "t3theory.sequences.sequence_retain_bound",
            "t3theory.sequences.position_retain_bound",
            "t3theory.sequences.tempered_sequence_retain_bound",
        ),
        (
            _GATES + "test_sequence_chain_rule_against_brute_force",
            _GATES + "test_sequence_retain_bound",
            _GATES + "test_tempered_sequence_bound",
            _GATES + "test_a_token_bound_above_one_is_attained_beyond_its_bias",
        ),
    ),
    Statement(
        "M",
        "Class prior",
        "logit f_γ = logit f_π + log((1−γ)/γ) − log((1−π)/π).",
        ("t3theory.classifier.change_prior",),
        (_SYMBOLIC + "test_class_prior",),
    ),
    Statement(
        "N",
        "Gated tempering",
        "Σ_c P(c)|γ̂_c−γ_c| ≤ Δ; P_f(not gated) ≤ (τ+Δ)/γ; "
        "P_r(gated) ≤ P_r(γ_c>τ₀) + Δ/((1−γ)(τ−τ₀)); "
        "retain bias ≤ (1−1/T)[P_r(gated) log|Y| + E_{P_r} log 1/(1−γ_c)]. "
        "Both errors of a hard gate: RE ≤ bias + (δ + √(V_T δ/2))/(1−γ); "
        "FE ≤ Σ_{P_r(c)>0} FB_T(c) + R_T + min(R_1, 2 max P_f(y|c) P_f(not gated)) + Σ_{P_r(c)=0} P_f(c) max_y P_f(y|c).",
        (
            "t3theory.gating.gate_guarantee",
            "t3theory.gated_errors.gated_error_bounds",
            "t3theory.gating.retain_bias_bound",
            "t3theory.gating.soft_gate_bias_bound",
            "t3theory.gating.gated_temperature",
        ),
        (
            _GATES + "test_gate_guarantees",
            _GATES + "test_signal_error_is_attained",
            _GATES + "test_missed_forget_contexts_are_attained_at_positive_risk",
            _GATES + "test_missed_forget_contexts_need_the_signal_error",
            _GATES + "test_gated_retain_contexts_are_attained",
            _GATES + "test_bias_of_a_gated_context_is_attained",
            _GATES + "test_forget_error_of_what_is_not_gated_is_attained",
            _GATES + "test_gated_errors_of_every_classifier",
            _GATES + "test_gated_errors_are_attained_without_risk",
            _GATES + "test_soft_gate_bias",
            _GATES + "test_gating_helps_where_contexts_are_apart",
            _GATES + "test_gating_cannot_help_where_every_context_has_the_same_share",
            _BALLS + "test_gate_signal",
            _BOXES,
            "t3theory/test_balls_boxes.py::test_bias_of_gated_contexts_on_boxes",
        ),
    ),
    Statement(
        "O",
        "Greedy decoding sees the product sT",
        "argmax_z [log p/T + s log f] = argmax_z [log p + sT log f].",
        ("t3theory.estimator.tilted_score",),
        (_SYMBOLIC + "test_greedy_decoding_sees_the_product",),
    ),
    Statement(
        "P",
        "Off-support contexts",
        "Where P_r(c) = 0, the joint law does not determine P_r(·|c), and δ → 0 forces f → 0 in c "
        "without determining the limit of P̂(·|c): open.",
        ("t3theory.contexts.ContextMixture.estimate",),
        (
            "t3theory/test_off_support.py::test_vanishing_risk_reaches_every_limit",
            "t3theory/test_off_support.py::test_variation_bound_is_attained",
        ),
    ),
    Statement(
        "Q",
        "Leakage bound",
        "FE_T ≤ E_{P_f}[p_r] + L/(L/‖p_f‖_∞ + B e^{−δ₂/c}), L = b max_{P_f>0} p^{1/T}, "
        "b = min(kl⁻¹(ā; δ/γ), (c+γā)/(c+γ)), δ₂ = δ − γ kl(ā‖b) (0 where δ is used up); "
        "for disjoint uniform P_r and P_f it is the worst case. Split: FE_T ≤ E_{P_f}[p_r] + "
        "max_θ [leak(θ) − 2θe] where p_r ≥ e on the forget data.",
        ("t3theory.bounds.leakage.leakage_bounds", "t3theory.bounds.leakage.worst_leak"),
        (
            _FORMULAS,
            _SPIKE,
            _HOLD,
            _SHARP,
            _TEMPERATURES + "test_within_two_of_the_worst_case_on_the_disjoint_spike",
            _BALLS + "test_leakage_and_its_split",
        ),
    ),
)

LEDGER: dict[str, Statement] = {statement.letter: statement for statement in _STATEMENTS}
"""Letter → statement, in order."""
