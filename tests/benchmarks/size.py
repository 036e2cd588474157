"""The part `size`: lines of Python, and how the modules of the package import each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from report import Goal, Report, figure

PACKAGE = Path(__file__).resolve().parents[2] / "mockbm"

Graph = dict[str, set[str]]


def measure() -> Report:
    """Read the package's files; nothing of it runs."""
    files = {_module(path): path for path in PACKAGE.rglob("*.py")}
    trees = {module: ast.parse(path.read_text()) for module, path in files.items()}
    lines = sum(len(path.read_text().splitlines()) for path in files.values())
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    functions = sum(isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) for node in nodes)
    chain = _longest({module: set(_imports(module, files, tree)) for module, tree in trees.items()})
    circles = _circles(
        {module: set(_imports(module, files, tree, True)) for module, tree in trees.items()}
    )
    goals = [
        Goal("lines of Python in the package", "<=", 6_000, lines),
        Goal("modules in the longest chain of imports", "<=", 12, len(chain)),
        Goal("circles, with the imports for type checking", "<=", 0, len(circles)),
    ]
    rows = [
        ("the package", *map(figure, (lines, len(files), functions))),
        (f"longest chain: {' > '.join(chain)}",),
        *((f"circle: {', '.join(circle)}",) for circle in circles),
    ]
    return Report("SIZE", ("", "lines", "modules", "functions"), rows, goals)


def _module(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(
    module: str, files: dict[str, Path], tree: ast.AST, type_checking: bool = False
) -> Iterator[str]:
    """The modules of the package that a module imports when it is imported itself."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        checking = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if checking and not type_checking:
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = module if files[module].name == "__init__.py" else module.rpartition(".")[0]
            above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            inside = [f"{base}.{alias.name}" for alias in node.names]
            names = [name if name in files else base for name in inside]
        yield from (name for name in names if name in files and name != module)
        yield from _imports(module, files, node, type_checking)


def _longest(graph: Graph) -> list[str]:
    """The longest chain. Raises: graphlib.CycleError for a circle."""
    chains: dict[str, list[str]] = {}
    for module in TopologicalSorter(graph).static_order():
        below = max((chains[other] for other in graph[module]), key=len, default=[])
        chains[module] = [module, *below]
    return max(chains.values(), key=len)


def _circles(graph: Graph) -> list[list[str]]:
    """Groups of modules that all reach each other."""
    reach: Graph = {}
    for module in graph:
        found, new = set[str](), {module}
        while new:
            new = {other for one in new for other in graph[one]} - found
            found |= new
        reach[module] = found
    groups = {
        tuple(sorted(other for other in reach[module] if module in reach[other]))
        for module in graph
        if module in reach[module]
    }
    return [list(group) for group in sorted(groups)]
