"""The rooms of the house and the imports between them: what points upwards, and what goes in a circle.

    python tools/house.py [folder of the package]

Lists the lines of each room, the imports that point up the list of floors and the circles among modules, counting the
imports inside functions and those for type checkers alone; ends with status 1 where there is one of either.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

# From the ground up. A module may import those of its own floor's room and of the floors below.
FLOORS = [
    ["_version", "_internal"],
    ["memo", "initializers", "metrics", "encoding"],
    ["parameters"],
    ["layers", "losses", "penalties", "optimizers", "schedules"],
    ["advice"],
    ["workspace"],
    ["network"],
    ["ensemble"],
    ["files"],
    ["training"],
    ["pages", "datasets", "parallel"],
    ["gradient_check"],
    ["tracing", "plotting", "showing"],
    ["estimators"],
    ["course"],
    ["onnx"],
    ["tables"],
    ["export", "serve"],
    ["playground"],
    ["cli"],
    ["__main__"],
]
FREE = {""}  # the package itself: it hands out names, and imports nothing that is not asked for


def modules(root: Path) -> dict[str, Path]:
    """Return each module's name below the package, and its file."""
    names = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imports(path: Path, known: dict[str, Path], package: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the module of every import of the package's own, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == package:
            base = node.module[len(package) + 1 :]
            for name in node.names:
                inner = f"{base}.{name.name}" if base else name.name
                yield node.lineno, inner if inner in known else base
        elif isinstance(node, ast.Import):
            for name in node.names:
                if name.name.split(".")[0] == package:
                    yield node.lineno, name.name[len(package) + 1 :]


def room(module: str) -> str:
    """Return the room of a module: the folder or file at the top of the package."""
    return module.split(".", maxsplit=1)[0]


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the sets of modules that import each other, by Tarjan's algorithm (1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            ring = []
            while True:
                ring.append(stack.pop())
                if ring[-1] == node:
                    break
            if len(ring) > 1:
                found.append(sorted(ring))

    for node in graph:
        if node not in index:
            visit(node)
    return found


def examine(root: Path) -> tuple[dict[str, set[str]], list[str]]:
    """Return the graph of imports among modules, and a sentence for each that points upwards."""
    known = modules(root)
    floor = {name: level for level, names in enumerate(FLOORS) for name in names}
    graph: dict[str, set[str]] = {name: set() for name in known}
    upward = []
    for module, path in known.items():
        if module in FREE:
            continue
        for line, other in imports(path, known, root.name):
            if other != module:
                graph[module].add(other)
            here, there = room(module), room(other)
            if other in FREE or (here != there and floor[there] >= floor[here]):
                beside = floor.get(there) == floor[here]
                upward.append(f"{path.relative_to(root)}:{line} imports {other or root.name}{' beside it' * beside}")
    return graph, upward


def main(root: Path) -> int:
    """Print the house; return 1 where an import points upwards or there is a circle."""
    known = modules(root)
    lines = Counter[str]()
    for module, path in known.items():
        lines[room(module) or root.name] += len(path.read_text(encoding="utf-8").splitlines())
    graph, upward = examine(root)
    rings = circles(graph)
    between = {(room(a), room(b)) for a, others in graph.items() for b in others if room(a) != room(b)}
    for names in reversed(FLOORS):
        print("   ".join(f"{name} {lines[name]:,}" for name in names if name in lines))
    print(f"\n{sum(lines.values()):,} lines in {len(known)} modules, {len(lines)} rooms, {len(between)} arrows")
    print(f"{len(upward)} imports upwards, {len(rings)} circles")
    for sentence in upward:
        print(f"  up      {sentence}")
    for ring in rings:
        print(f"  circle  {', '.join(ring)}")
    return 1 if upward or rings else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "src/chainrule")))
