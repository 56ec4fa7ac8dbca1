"""The reports of the gradient check, with their verdicts."""

from __future__ import annotations

from chainrule.gradient_check.report import ParameterCheck, Report, order_text
from chainrule.pages.blocks import Block, Cell, Code, Row, Table, Verdict
from chainrule.pages.formatting import apart, clean, rows

ROWS = 30  # of a table; wrong ones come first
LINES, LONGEST = 30, 400  # of a verdict, and characters of a line


def report(thing: Report) -> tuple[str, str, list[Block]]:
    """Show the verdict of a check and the table of its gradients."""
    lines = [clean(line.strip(), LONGEST) for line in thing.verdict.splitlines() if line.strip()]
    lines += [line for line in (clean(why, LONGEST) for why in thing.unchecked) if line not in lines]
    if not lines:
        lines = ["passed" if thing.ok else "failed"]
    said = [*lines[:LINES], *([f"… {rows(len(lines) - LINES, 'more line')}"] if len(lines) > LINES else [])]
    state = True if thing.ok else None if thing.unchecked else False
    blocks: list[Block] = [Verdict(tuple(said), state)]
    if thing.parameters:
        blocks.append(_table(thing.parameters))
    elif table := thing.table():
        blocks.append(Code(table))
    return type(thing).__name__, "", blocks


def _table(parameters: list[ParameterCheck]) -> Table:
    chosen = sorted(parameters, key=lambda p: not p.hint)[:ROWS]  # the order stays among the wrong and the others
    shown = [p for p in parameters if any(p is one for one in chosen)]
    several = len({p.layer for p in parameters}) > 1
    names = apart([f"{p.layer}  {p.layer_name}" if several else p.layer_name for p in shown])
    lines: list[Row] = []
    for name, p in zip(names, shown, strict=True):
        kind = "bad" if p.hint else "" if p.unchecked else "good"
        numbers = f"{p.numeric_norm:.3e}", f"{p.analytic_norm:.3e}", f"{p.error:.1e}", order_text(p.order)
        lines.append((name, f"d{clean(p.name)}", str(p.shape), *numbers, Cell(p.state, kind=kind)))
    head = ("layer", "gradient", "shape", "numeric norm", "analytic norm", "error", "order", "")
    more = len(parameters) - len(shown)
    caption = f"{rows(more, 'more gradient')}: report.parameters." if more else ""
    return Table(head, tuple(lines), "lllrrrrl", caption=caption, far=(2, 3, 4))
