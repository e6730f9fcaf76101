"""The project's plain notation, as `‖p_f‖_∞^{1/T}`, set for HTML and for LaTeX."""

from __future__ import annotations

import html
import re

__all__ = ["breakable", "to_html", "to_latex"]

# A subscript belongs to a symbol of one letter (two capitals at most): names_of_values stay whole.
_SCRIPT = re.compile(
    r"(?P<kind>[\^_])\{(?P<braced>[^{}]*)\}"
    r"|\^\((?P<round>[^()]*)\)|\^(?P<power>[−-]?[A-Za-z0-9*]+(?:\.\d+)?)"
    r"|(?<![A-Za-z])(?P<symbol>[a-zA-Zα-ωΑ-Ω‖]\u0302?|[A-Z]{2}|‖)_(?P<index>[a-zA-Z0-9∞])(?![A-Za-z_])"
)
_POWER_OF_TEN = re.compile(r"(?<![\w.])(\d(?:\.\d+)?)e([+-]?)0*(\d+)(?!\w)")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789−")
_MINUS = re.compile(r"(?<![\w)\]–-])-(?=\d)")

_LATEX = {
    "&": r"\&", "%": r"\%", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
    "−": "$-$", "–": "--", "‖": r"$\|$", "∞": r"$\infty$", "≤": r"$\leq$", "≥": r"$\geq$", "×": r"$\times$",
    "∝": r"$\propto$", "→": r"$\to$", "↑": r"$\uparrow$", "±": r"$\pm$", "√": r"$\surd$",
    "α": r"$\alpha$", "β": r"$\beta$", "γ": r"$\gamma$", "δ": r"$\delta$", "μ": r"$\mu$", "σ": r"$\sigma$",
    "τ": r"$\tau$", "Δ": r"$\Delta$", "Σ": r"$\Sigma$", "’": "'", "\u0302": "", "\u00a0": "~", "_": r"\_", "^": r"\^{}",
}  # fmt: skip


def _plain(text: str) -> str:
    """Exponents of ten and minus signs as they are written by hand; a number keeps its %."""

    def power(found: re.Match[str]) -> str:
        mantissa, sign, digits = found.groups()
        factor = "" if mantissa == "1" else f"{mantissa} × "
        return f"{factor}10^{{{'−' if sign == '-' else ''}{digits}}}"

    return _MINUS.sub("−", _POWER_OF_TEN.sub(power, text)).replace(" %", "\u00a0%")


def _scripts(text: str, low: str, high: str) -> str:
    """Innermost scripts first, until none is left."""

    def put(found: re.Match[str]) -> str:
        parts = found.groupdict()
        if parts["symbol"]:
            return parts["symbol"] + low.format(parts["index"])
        inner = next(parts[k] for k in ("braced", "round", "power") if parts[k] is not None)
        return (low if parts["kind"] == "_" else high).format(inner)

    while (changed := _SCRIPT.sub(put, text)) != text:
        text = changed
    return text


def to_html(text: str) -> str:
    """The text with subscripts, exponents and signs, escaped.

    >>> to_html("‖p_f‖_∞^{1/T} & 1e-05")
    '‖p<sub>f</sub>‖<sub>∞</sub><sup>1/T</sup> &amp; 10<sup>−5</sup>'
    """
    return _scripts(html.escape(_plain(text)), "<sub>{}</sub>", "<sup>{}</sup>")


def to_latex(text: str) -> str:
    r"""The text for LaTeX, in ASCII but for letters.

    >>> to_latex("‖p_f‖_∞ at 5 %")
    '$\\|$p\\textsubscript{f}$\\|$\\textsubscript{$\\infty$} at 5~\\%'
    >>> to_latex("10⁻³")
    '10\\textsuperscript{$-$3}'
    """
    low, high = "\x02{}\x01", "\x03{}\x01"  # no character of the text means anything yet
    marked = _scripts(_plain(text), low, high)
    marked = _RAISED.sub(lambda found: high.format(found[0].translate(_DIGITS)), marked)
    marked = "".join(_LATEX.get(c, c) for c in marked.replace("₁₀", "\x0210\x01"))
    opened = marked.replace("\x02", r"\textsubscript{").replace("\x03", r"\textsuperscript{")
    return opened.replace("\x01", "}")


def breakable(command: str) -> str:
    """A command as HTML whose lines break between words and after underscores, not in options.

    >>> breakable("t3 --only a_b")
    't3 <span class="option">--only</span> a_<wbr>b'
    """
    words = [html.escape(word).replace("_", "_<wbr>") for word in command.split()]
    marked = (f'<span class="option">{w}</span>' if w.startswith("--") else w for w in words)
    return " ".join(marked)
