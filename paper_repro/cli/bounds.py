"""`t3 bounds`: the theory, applied to a mixture and a classifier of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from t3theory.assessment import Assessment

__all__ = ["bounds"]

_UNITS = {"retain_error": "nats", "forget_error": "density"}


def bounds(file: Path, temperature: float = 2.0, guidance_scale: float = 1.0) -> None:
    """Show the true errors of a classifier, every bound on them, and the certified worst case.

    Below the tables stands what each of the bounds states; its proof is in docs/theory.md.

    Args:
        file: .npz with arrays retain, forget, gamma, classifier and, optionally, reference.
        temperature: T > 0; 1 is plain classifier guidance.
        guidance_scale: s >= 0, the power of the classifier.
    """
    from rich.console import Console
    from rich.text import Text

    from t3theory.assessment import assess, read_instance
    from t3theory.ledger import LEDGER

    mixture, f = read_instance(file)
    found = assess(mixture, f, temperature, guidance_scale)
    console = Console()
    console.print(
        f"n = {mixture.size}, γ = {mixture.gamma:.6g}, T = {temperature:.6g}, "
        f"s = {guidance_scale:.6g}; ‖p_f‖∞ = {float(mixture.forget_density_sup):.6g}; "
        + _risks(found, guidance_scale)
    )
    for quantity in found.errors:
        console.print(_table(found, quantity, guidance_scale))
    shown = ["I"] if found.worst_cases else []
    for letter in sorted({bound.letter for bound in found.bounds}.union(shown)):
        statement = LEDGER[letter]
        console.print(Text.assemble((statement.proof, "bold"), ": ", statement.text))


def _risks(found: Assessment, scale: float) -> str:
    """The worst case goes by the risk of f, the bounds by that of f^s: two numbers if s ≠ 1."""
    if scale == 1:
        return f"excess risk δ = {found.excess_risk:.6g} nats"
    return (
        f"excess risk δ(f) = {found.excess_risk:.6g} nats (worst case), "
        f"δ(f^s) = {found.powered_risk:.6g} nats (bounds)"
    )


def _table(found: Assessment, quantity: str, scale: float) -> Table:
    """True error first, then the worst case of its risk, then the bounds, tightest first."""
    from rich.table import Table

    true = found.errors[quantity]
    title = f"{quantity.replace('_', ' ')} ({_UNITS[quantity]})"
    if scale != 1:
        title += ": I by δ(f), bounds by δ(f^s)"
    table = Table(title=title, title_justify="left")
    for name, side in (
        ("statement", "left"),
        ("", "left"),
        ("value", "right"),
        ("/ true", "right"),
    ):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    table.add_row("true error", "=", f"{true:.6g}", "1")
    if quantity in found.worst_cases:
        risk = "this risk" if scale == 1 else "δ(f)"
        worst = found.worst_cases[quantity]
        table.add_row(
            f"I worst case of {risk}", "≤", f"{worst.upper:.6g}", _ratio(worst.upper, true)
        )
        table.add_row(
            "  attained by a classifier", "≥", f"{worst.lower:.6g}", _ratio(worst.lower, true)
        )
    applying = (b for b in found.bounds if b.quantity == quantity)
    for bound in sorted(applying, key=lambda b: (b.direction != "upper", b.value)):
        sign = "≤" if bound.direction == "upper" else "≥"
        label = f"{bound.letter} {bound.variant}".strip()
        table.add_row(label, sign, f"{bound.value:.6g}", _ratio(bound.value, true))
    return table


def _ratio(value: float, true: float) -> str:
    return f"{value / true:.3g}" if true > 0 else "–"
