"""`t3 report`: the page of records that are there, committed ones or a part of a run."""

from __future__ import annotations

from pathlib import Path

from t3theory.exceptions import InputError

__all__ = ["report"]


def report(records: Path, out: Path) -> None:
    """Draw the figures, judge the claims and write the page of records; nothing is measured.

    Args:
        records: a file of records, as in paper_repro/results, or the folder of a run.
        out: folder for report.html, figures, tables, claims.json and the records themselves.

    Raises:
        InputError: no records, or records of two scales or of two sources of data, or `out` is
            where the records are read from.
    """
    from rich.console import Console

    from figures.registry import FIGURES
    from paper_repro.pipeline.stamps import products_in
    from paper_repro.pipeline.work import draw, judge
    from paper_repro.report import write
    from paper_repro.results import command_of, read_results, run_of
    from t3theory.records import check_folder, write_records

    check_folder(f"--out {out}", out)
    if out.resolve() in ((records / place).resolve() for place in ("", "records")):
        # What is written there would be read again, beside what it was copied from.
        raise InputError(f"--out {out}: expected another folder than that of the records")
    found = read_results(records, products_in(records))
    if not found:
        raise InputError(f"{records}: no records; expected a run (see t3 reproduce) or its records")
    (scale, data), run = run_of(found), command_of(found)
    file = Path(records).name if Path(records).is_file() else "records.jsonl"
    write_records(out / file, found, brief=True)
    kinds = {r["kind"] for r in found}
    for name in FIGURES:
        if FIGURES[name].KIND in kinds:
            draw(name, str(out), [file])
    judge(str(out), [file], run)
    write(str(out), scale, data, [file], run)
    Console(stderr=True).print(f"Report: {out / 'report.html'}", highlight=False)
