"""Build the site into build/docs: the API from docstrings, and the notebooks with their outputs.

    python docs/build.py [folder] [module …]      or: make docs

The pages in docs/ themselves are Markdown and need no building.
"""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("t3theory", "sims", "llm", "figures", "paper_repro")


def modules(names: Sequence[str]) -> Iterator[str]:
    """The public modules of packages, all levels."""
    for name in names:
        yield name
        package = importlib.import_module(name)
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not any(part.startswith("_") for part in found.name.split(".")):
                yield found.name


def api(folder: Path, names: Sequence[str] = PACKAGES) -> None:
    """The reference, one page a module, from docstrings."""
    import pdoc

    # `__all__` of a package names its functions, not its modules: each module is asked for.
    pdoc.render.configure(docformat="google", show_source=False, math=False)
    with warnings.catch_warnings():
        # A NamedTuple's made-up methods do not know their module's imports.
        warnings.filterwarnings("ignore", message="Error parsing type annotation")
        # `t3theory.bounds` exports a function that is named like its module: both are wanted.
        warnings.filterwarnings("ignore", message="The module specification")
        pdoc.pdoc(*modules(names), output_directory=folder)


def notebooks(folder: Path) -> None:
    """Every notebook, run, as a page."""
    files = sorted(map(str, (ROOT / "notebooks").glob("*.ipynb")))
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--execute", "--log-level=WARN"]
    subprocess.run([*command, "--output-dir", str(folder), *files], check=True)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "docs"
    api(target / "api", sys.argv[2:] or PACKAGES)
    if not sys.argv[2:]:
        notebooks(target / "notebooks")
