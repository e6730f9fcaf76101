"""What was measured of the language models, as tables: a row a method, a column a measure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from figures.fig_tofu_methods import NAMES
from figures.statistics import Estimate
from llm.experiment import TILTS
from paper_repro.report.measures import Measure, Record, Table

__all__ = ["TABLES", "Filled", "Row", "fill", "fill_all", "rows_of"]


class Row(NamedTuple):
    """A method under its name, and a column an estimate and of how many seeds it is."""

    method: str
    name: str
    cells: list[Estimate | None]
    counts: list[int]


class Filled(NamedTuple):
    """A table with its rows; columns that no method has are left out.

    `seeds` stand behind a cell, where its row does not count others.
    """

    name: str
    title: str
    text: str
    seeds: int
    columns: list[Measure]
    rows: list[Row]


def _methods(record: Record) -> Sequence[Any]:
    """The methods that a record speaks of: a head serves all that decode with one."""
    config = record["config"]
    if record["kind"] == "llm.stage" and config.get("stage") == "fit_heads":
        return [method for method in TILTS if method != "tempering"]
    return [config.get("which") or config.get("method")]


def _samples(
    records: Sequence[Record], measure: Measure, seeds: set[Any]
) -> dict[Any, list[float | None]]:
    """Method -> the measure's number on each seed."""
    found = defaultdict(list)
    for record in records:
        if measure.holds(record) and record["seed"] in seeds:
            for method in _methods(record):
                found[method].append(measure.read(record))
    return found


def _seeds(records: Sequence[Record]) -> set[Any]:
    """Seeds on which the full model ran: the tuning seed's retain model is only a yardstick."""
    full = (r for r in records if r["kind"] == "llm.evaluation" and r["config"]["method"] == "full")
    return {r["seed"] for r in full}


def rows_of(records: Sequence[Record], columns: Sequence[Measure]) -> list[Row]:
    """A row for each method of which something was measured.

    A number that a record should have and has not leaves its cell empty.
    """
    seeds = _seeds(records)
    samples = [_samples(records, measure, seeds) for measure in columns]
    rows = []
    for method, name in NAMES.items():
        found = [sample.get(method, [None]) for sample in samples]
        cells = [
            None if None in numbers else measure.estimate(numbers)  # type: ignore[arg-type]
            for measure, numbers in zip(columns, found, strict=True)
        ]
        if any(cells):
            rows.append(Row(method, name, cells, [len(numbers) for numbers in found]))
    return rows


def fill(table: Table, records: Sequence[Record]) -> Filled | None:
    """The table of these records, or None where they have nothing of it."""
    rows = rows_of(records, table.columns)
    used = [i for i in range(len(table.columns)) if any(row.cells[i] for row in rows)]
    columns = [table.columns[i] for i in used]
    if all(measure.kind != table.kind for measure in columns):
        return None
    rows = [
        Row(row.method, row.name, [row.cells[i] for i in used], [row.counts[i] for i in used])
        for row in rows
    ]
    counts = Counter(
        n for row in rows for n, cell in zip(row.counts, row.cells, strict=True) if cell
    )
    return Filled(table.name, table.title, table.text, counts.most_common(1)[0][0], columns, rows)


def fill_all(records: Sequence[Record]) -> list[Filled]:
    """All tables that the records have something of."""
    return [found for table in TABLES if (found := fill(table, records))]


def _attacked(heading: str, attack: str, value: str) -> Measure:
    return Measure(heading, f"values/{value}", "llm.robustness", {"attack": (attack,)})


def _spent(
    heading: str, at: str, training: bool = True, form: str = ",.0f", unit: float = 1.0
) -> Measure:
    """What a method's training took, or else its evaluation."""
    kind, where = _TRAINING if training else ("llm.evaluation", {})
    return Measure(heading, f"provenance/{at}", kind, where, form, unit, positive=True)


_ROWS = {"retain": "retained", "real_authors": "real", "world_facts": "world"}
_SIX = tuple(f"values/{rows}_{part}" for rows in _ROWS for part in ("probability", "truth_ratio"))
_TRAINING: tuple[str, Mapping[str, tuple[str, ...]]] = (
    "llm.stage",
    {"stage": ("fit_heads", "train_base", "train_baseline")},
)
_MEBIBYTE = 2.0**20

TABLES = (
    Table(
        "methods",
        "Forgetting and utility",
        "Forget quality is the Kolmogorov–Smirnov p-value of truth ratios against the retain model: "
        "above −1.3 (p = 0.05) the two are not told apart. Settings of every method were chosen on "
        "a seed that is not reported.",
        (
            Measure("forget quality, log₁₀ p ↑", "values/forget_quality_log10_p"),
            Measure("model utility ↑", "values/model_utility"),
            Measure("forget probability", "values/forget_probability"),
            Measure("forget ROUGE", "values/forget_rouge"),
            Measure("retain probability ↑", "values/retain_probability"),
            Measure("retain ROUGE ↑", "values/retain_rouge"),
        ),
    ),
    Table(
        "blind",
        "Chosen with a retain model, and without",
        "Settings by the best forget quality, which needs a retain model, and by losses alone: the "
        "greatest on forget answers among those that cost retained ones at most 0.1 nats a token. "
        "Utility without the generated texts (six of TOFU's nine parts), so that both have it; in "
        "the second column on the retain rows that candidates were measured on, which may be fewer.",
        (
            Measure("log₁₀ p ↑, chosen with", "values/forget_quality_log10_p"),
            Measure("log₁₀ p ↑, without", "values/forget_quality_log10_p", "llm.blind"),
            Measure("utility ↑, chosen with", _SIX),
            Measure("utility ↑, without", "values/utility", "llm.blind"),
        ),
        kind="llm.blind",
    ),
    Table(
        "memory",
        "What is left in memory",
        "Of the forget answers: how much the model completes word for word, given what comes before "
        "(extraction strength), the share of tokens that are the greedy choice (exact "
        "memorisation), and how well membership is told from unseen answers (area under the "
        "curve of Min-K%; 0.5 is chance; privleak: how far 1 minus it is above the retain model's, "
        "in per cent of that). The retain model is what forgetting can reach.",
        (
            Measure("extraction strength", "values/extraction_strength"),
            Measure("exact memorisation", "values/exact_memorization"),
            Measure("membership, AUC", "values/mia_min_k"),
            Measure("privleak, %", "values/privleak", form=".0f"),
            Measure("forget truth ratio", "values/forget_truth_ratio"),
        ),
    ),
    Table(
        "utility",
        "What utility is made of",
        "The seven of TOFU's nine parts that do not stand above (model utility is the harmonic mean "
        "of all): truth ratios, read so that more is better, and of real authors and facts of the "
        "world the probability of the answer among the wrong ones and ROUGE of the greedy answer.",
        tuple(
            Measure(f"{heading}, {part} ↑", f"values/{rows}_{part.replace(' ', '_').lower()}")
            for rows, heading in _ROWS.items()
            for part in ("probability", "ROUGE", "truth ratio")
            if rows != "retain" or part == "truth ratio"
        ),
    ),
    Table(
        "theory",
        "In the theory's units",
        "Against the retain model of the same seed, on the data's own contexts: the head's excess "
        "risk δ, the retain error KL(p_r ‖ p̂) in nats a token with the bound on it (guidance), and "
        "the forget error E|p_r − p̂| at the memorised tokens.",
        (
            Measure("excess risk δ", "values/excess_risk", "llm.theory"),
            Measure("retain error", "values/retain_error", "llm.theory"),
            Measure("its bound", "values/retain_error_bound", "llm.theory"),
            Measure("forget error", "values/forget_error", "llm.theory"),
        ),
        kind="llm.theory",
    ),
    Table(
        "robustness",
        "Under attack",
        "Probability of the forget answers as they were asked, to a paraphrased question, in "
        "another prompt format, and after a tenth of the forget pairs was learnt again (of the "
        "others; methods that changed weights, and the retain model); forget quality with linear layers rounded to "
        "8 and 4 bits; and of the greedy answers, the loss under the retain model, in nats a token, and "
        "the share of repeated bigrams.",
        (
            _attacked("as asked", "none", "forget_probability"),
            _attacked("paraphrased", "paraphrase", "forget_probability"),
            _attacked("other format", "format", "forget_probability"),
            _attacked("relearnt", "relearn", "forget_probability"),
            _attacked("8 bits, log₁₀ p ↑", "int8", "forget_quality_log10_p"),
            _attacked("4 bits, log₁₀ p ↑", "int4", "forget_quality_log10_p"),
            _attacked("loss of answers", "fluency", "fluency_loss"),
            _attacked("repeated bigrams", "fluency", "repetition"),
        ),
        kind="llm.robustness",
    ),
    Table(
        "cost",
        "What it costs",
        "Wall time of training under the chosen setting (the head, for all that decode with it; the "
        "full and the retain model from nothing), and the most memory meanwhile: of the process, "
        "libraries included, and what was allocated on the GPU. Decoding is one batch of 16 greedy "
        "answers of 16 tokens. Time, memory and speed are geometric means.",
        (
            Measure("trained parameters", "values/trained_parameters", form=",.0f"),
            _spent("training, s", "seconds", form=",.1f"),
            _spent("process, MiB", "timings/peak_bytes", unit=_MEBIBYTE),
            _spent("GPU, MiB", "timings/peak_gpu_bytes", unit=_MEBIBYTE),
            _spent("tokens/s ↑", "timings/tokens_per_second", training=False),
        ),
    ),
)
"""The tables of language models, in the report's order."""
