"""What CONTRIBUTING.md and the docs promise of the code, and no linter holds it to."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("t3theory", "sims", "llm", "figures", "paper_repro")
SOURCES = [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FUNCTION_LINES, FILE_LINES = 40, 300


def relative(path):
    return str(path.relative_to(ROOT))


def trees(paths=tuple(SOURCES)):
    for path in paths:
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def dotted(node):
    """`a.b.c` of a name or an attribute, "" of anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def calls(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def modules():
    for name in PACKAGES:
        package = importlib.import_module(name)
        yield package
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


# ---- size -------------------------------------------------------------------------------------


def test_functions_and_files_stay_short():
    long = []
    for path in SOURCES + BENCHMARKS:
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines > FILE_LINES:
            long.append(f"{relative(path)}: {lines} lines")
    for path, tree in trees(SOURCES + BENCHMARKS):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                if lines > FUNCTION_LINES:
                    long.append(f"{relative(path)}: {node.name}, {lines} lines")
    assert not long


# ---- where things stand -----------------------------------------------------------------------


def test_tests_mirror_the_packages():
    own = {"architecture", "docs", "notebooks"}
    for path in TESTS:
        inside = path.relative_to(ROOT / "tests").parent
        if inside.parts and inside.parts[0] not in own:
            assert (ROOT / inside).is_dir(), relative(path)
    assert not [relative(path) for path in TESTS if path.name == "__init__.py"]


def test_llm_imports_nothing_by_itself():
    """`import llm.experiment` must not load torch."""
    (body,) = [tree.body for path, tree in trees() if path == ROOT / "llm" / "__init__.py"]
    assert all(isinstance(node, ast.Expr) for node in body)


def test_theory_needs_its_four_dependencies_and_nothing_else():
    declared = {re.split(r"[<>=\[]", entry)[0] for entry in PROJECT["dependencies"]}
    assert declared == {"numpy", "scipy", "array-api-compat", "jaxtyping"}
    # wadler_lindig is jaxtyping's own.
    allowed = sorted({name.replace("-", "_") for name in declared} | {"wadler_lindig", "t3theory"})
    script = f"""
import importlib, pkgutil, sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in sys.stdlib_module_names | set({allowed!r}):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nothing())
import t3theory
found = [m.name for m in pkgutil.walk_packages(t3theory.__path__, "t3theory.")]
for name in found:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(found))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 20


# ---- what must not be there -------------------------------------------------------------------

UNSAFE = {
    *("pickle.load", "pickle.loads", "torch.load", "joblib.load", "eval", "exec", "os.system"),
    *("yaml.load", "marshal.loads", "shelve.open"),
}


def test_nothing_is_unpickled_and_no_remote_code_is_run():
    found = []
    for path, tree in trees():
        for call in calls(tree):
            named = {k.arg: k.value for k in call.keywords}
            trusting = named.get("trust_remote_code")
            pickling = named.get("allow_pickle")
            if (
                dotted(call.func) in UNSAFE
                or (trusting is not None and getattr(trusting, "value", True))
                or (pickling is not None and getattr(pickling, "value", True))
                or getattr(named.get("shell"), "value", False)
            ):
                found.append(f"{relative(path)}:{call.lineno}")
    assert not found


SEEDED = {"default_rng", "Random", "SeedSequence", "RandomState"}
GLOBAL = re.compile(r"^(random|np\.random|numpy\.random)\.[a-z_]+$")


def test_every_random_number_comes_from_a_seed():
    found = []
    for path, tree in trees(SOURCES + BENCHMARKS + TESTS):
        for call in calls(tree):
            name = dotted(call.func)
            made = name.rpartition(".")[2] in SEEDED
            if (made and not call.args and not call.keywords) or (
                GLOBAL.match(name) and not made and name != "np.random.default_rng"
            ):
                found.append(f"{relative(path)}:{call.lineno}: {name}")
    assert not found


def test_nothing_is_left_to_do():
    found = []
    for path in SOURCES + BENCHMARKS + TESTS:
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError", line):
                found.append(f"{relative(path)}:{number}")
    assert not found


FILES = {"write_text", "write_bytes", "save_file", "savez", "savez_compressed", "savetxt"}


def test_files_appear_whole_or_not_at_all():
    """What writes a file does so on the temporary path that `atomic_path` gives."""
    found = []
    for path, tree in trees():
        safe = [
            (node.lineno, node.end_lineno)
            for node in ast.walk(tree)
            if isinstance(node, ast.With)
            and any(
                isinstance(item.context_expr, ast.Call)
                and dotted(item.context_expr.func).endswith("atomic_path")
                for item in node.items
            )
        ]
        for call in calls(tree):
            if dotted(call.func).rpartition(".")[2] in FILES and not any(
                first <= call.lineno <= last for first, last in safe
            ):
                found.append(f"{relative(path)}:{call.lineno}")
    assert not found


MISTAKES = {"ValueError", "TypeError", "RuntimeError", "Exception", "KeyError", "AssertionError"}


def test_mistakes_are_named_by_the_projects_own_errors():
    found = []
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                name = dotted(node.exc.func)
                if name in MISTAKES:
                    found.append(f"{relative(path)}:{node.lineno}: {name}")
    assert not found


# ---- what must be there -----------------------------------------------------------------------


def test_public_names_exist_and_say_what_they_are():
    for module in modules():
        assert module.__doc__, module.__name__
        for name in getattr(module, "__all__", ()):
            found = getattr(module, name)
            if callable(found) and getattr(found, "__module__", "").partition(".")[0] in PACKAGES:
                assert found.__doc__, f"{module.__name__}.{name}"


def test_every_extra_is_pinned():
    pinned = {
        re.split(r"[=<>\[; ]", line)[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    }
    wanted = [entry for extra in PROJECT["optional-dependencies"].values() for entry in extra]
    names = {re.split(r"[<>=\[ ]", entry)[0] for entry in wanted + PROJECT["dependencies"]}
    assert names - pinned == {"t3-unlearning"}


def test_a_silenced_linter_is_told_which_rule():
    found = []
    for path in SOURCES + TESTS + BENCHMARKS:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(r"#\s*(noqa|type:\s*ignore)\s*($|[^:\[])", line):
                found.append(f"{relative(path)}:{number}")
    assert not found
