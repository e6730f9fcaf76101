"""Build the site into build/docs: the pages, the API from docstrings, the notebooks with outputs.

    python docs/build.py [folder] [module …]      or: make docs

Begin at build/docs/index.html. Pages and notebooks stand where they stand in the project, so their
links hold once `.md` and `.ipynb` are `.html`. With modules named, only their API is built.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import mistune

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


def pages(folder: Path) -> None:
    """Every page, and the pictures and files that it names."""
    render = mistune.create_markdown(renderer=_Renderer(escape=False), plugins=["table"])
    for source in sources():
        place = source.relative_to(ROOT)
        text = source.read_text(encoding="utf-8")
        target = folder / place.with_suffix(".html")
        target.parent.mkdir(parents=True, exist_ok=True)
        title = text.partition("\n")[0].lstrip("# ")
        start = "../" * (len(place.parts) - 1) + "index.html"
        page = PAGE.format(title=title, start=start, body=linked(str(render(text))))
        target.write_text(page, encoding="utf-8")
        for other in re.findall(r"\]\(([^):#]+)\)", text):
            if not other.endswith((".md", ".ipynb")):
                (target.parent / other).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source.parent / other, target.parent / other)
    shutil.copyfile(folder / "README.html", folder / "index.html")


def sources() -> list[Path]:
    """The project's Markdown."""
    named = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "paper_repro/results/**/*.md")
    return sorted(path for name in (*named, "docs/**/*.md") for path in ROOT.glob(name))


def linked(page: str) -> str:
    """The page with links to the pages that Markdown and notebooks have become."""
    return re.sub(r'(href="[^":#]+)\.(?:md|ipynb)(["#])', r"\1.html\2", page)


class _Renderer(mistune.HTMLRenderer):
    """Headings that can be linked to, by the names that GitHub gives them."""

    def heading(self, text: str, level: int, **attrs: object) -> str:
        plain = re.sub(r"<[^>]+>", "", text).lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        return f'<h{level} id="{name}">{text}</h{level}>\n'


PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ max-width: 56rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.55 system-ui, sans-serif; }}
pre, table {{ overflow-x: auto; display: block; }} pre {{ background: #f5f5f5; padding: .7rem; font-size: .8rem; }}
table {{ border-collapse: collapse; font-size: .85rem; }} th, td {{ padding: .2rem .45rem; }}
td[style*="right"] {{ white-space: nowrap; }}
tbody tr {{ border-top: 1px solid #ddd; }} img {{ max-width: 100%; }}
</style></head>
<body><p><a href="{start}">T3</a></p>
{body}</body></html>
"""


def notebooks(folder: Path) -> None:
    """Every notebook, run, as a page."""
    files = sorted(map(str, (ROOT / "notebooks").glob("*.ipynb")))
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--execute", "--log-level=WARN"]
    subprocess.run([*command, "--output-dir", str(folder), *files], check=True)
    for page in folder.glob("*.html"):
        page.write_text(linked(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "docs"
    api(target / "api", sys.argv[2:] or PACKAGES)
    if not sys.argv[2:]:
        pages(target)
        notebooks(target / "notebooks")
