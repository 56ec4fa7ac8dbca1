"""A page for each layer of the registry: formula, picture, source, a traced example and its gradient check.

A new layer has its page at the next build. EXAMPLES says how to make those that the first of ARGUMENTS does not suit.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from built import DOCS, ROOT, is_newer, remove_others, write
from layer_pictures import draw

import chainrule as cr
from chainrule.layers import Flatten, Layer
from chainrule.layers.base import SHIPPED

LAYERS = DOCS / "layers"
ARGUMENTS = ("", "3", "0.5", "(2, 2)", "2, 2", "[Tanh()]")
SHAPES = ((3,), (6, 6, 1), (4, 3))
EXAMPLES: dict[str, tuple[str, tuple[int, ...], str]] = {  # arguments, the shape of a row, what else is imported
    "Conv2D": ("2, 3", (5, 5, 1), ""),
    "Dropout2D": ("0.5", (2, 2, 3), ""),
    "Embedding": ("[4], 2, columns=[0]", (3,), ""),
    "Flatten": ("", (2, 2, 2), ""),
    "GaussianNoise": ("0.1", (3,), ""),
    "Reshape": ("(2, 2, 1)", (4,), ""),
    "Residual": ("[Dense(3), Tanh()]", (3,), "Dense, Tanh, "),
    "Softmax": ("", (4,), ""),
}
PAGE = (DOCS / "_templates" / "layer.md").read_text(encoding="utf-8")
INDEX = """# The layers, one by one

Each page has the formula, a picture that the layer itself has computed, the source of the forward and the backward
pass, a step with its numbers, and the gradient check.

{groups}

```{{toctree}}
:hidden:

{names}
```
"""
CARD = """:::{{grid-item-card}} {name}
:link: {slug}
:link-type: doc
:img-bottom: {slug}.png
:img-alt: {alt}

{summary}
:::
"""


def usage(cls: type[Layer]) -> tuple[str, tuple[int, ...], str]:
    """Return arguments with which a layer can be made, the shape of a row that it takes, and what else is imported."""
    if cls.__name__ in EXAMPLES:
        return EXAMPLES[cls.__name__]
    for shape in SHAPES:
        for arguments in ARGUMENTS:
            with contextlib.suppress(Exception):
                network(made(cls, arguments), shape)
                return arguments, shape, "Tanh, " if "Tanh" in arguments else ""
    raise ValueError(f"{cls.__name__}: say in EXAMPLES of {Path(__file__).name} how to make one.")


def made(cls: type[Layer], arguments: str) -> Layer:
    """Return a layer, made with these arguments."""
    return eval(f"cls({arguments})", {**SHIPPED, "cls": cls})  # noqa: S307  (the texts above)


def network(layer: Layer, shape: tuple[int, ...]) -> cr.Network:
    """Return a network of this layer alone, and Flatten where rows are not numbers in a line."""
    with contextlib.suppress(ValueError):
        return cr.Network(shape, [layer], "squared_error", seed=0)
    return cr.Network(shape, [layer, Flatten()], "squared_error", seed=0)


def sections(cls: type[Layer]) -> tuple[str, str, str]:
    """Return the summary of a docstring, its text before the first section, and its source."""
    text = inspect.getdoc(cls) or ""
    summary, _, rest = text.partition("\n\n")
    source = re.search(r"^Source:.*?(?=\n\n|\Z)", rest, re.MULTILINE | re.DOTALL)
    before = re.split(r"^(?:\w[\w ]*\n-{3,}\n|Sources?:|>>> )", rest, maxsplit=1, flags=re.MULTILINE)[0]
    return " ".join(summary.split()), before.strip(), " ".join(source[0].split()) if source else ""


def derivations() -> dict[str, str]:
    """Return the derivation of each layer, a section of docs/mathematics.md whose heading names the layer."""
    text = (DOCS / "mathematics.md").read_text(encoding="utf-8").partition("\n## Layer by layer\n")[2]
    parts = re.split(r"^#{2,4} (.*)$", text, flags=re.MULTILINE)
    return {name: kept for title, kept in zip(parts[1::2], parts[2::2], strict=True) for name in title.split(" and ")}


def derivation(cls: type[Layer]) -> str:
    """Return where the backward pass comes from, without the check in NumPy: the source stands on the page."""
    found = derivations()
    if cls.__name__ not in found:
        raise ValueError(f"docs/mathematics.md: write the derivation of {cls.__name__}, below that name as a heading.")
    kept = re.sub(r"```python\n.*?```\n", "", found[cls.__name__], flags=re.DOTALL).strip()
    return kept.replace("](#", "](../mathematics.md#").replace("](book/", "](../book/")


def code(cls: type[Layer]) -> str:
    """Return the source of both passes by reference, and of the private functions that they call."""
    module = inspect.getmodule(cls)
    path = Path(inspect.getfile(cls)).resolve().relative_to(ROOT).as_posix()
    objects = [f"{cls.__name__}.forward", f"{cls.__name__}.backward"]
    called = re.findall(r"\b(_[a-z]\w+)\(", inspect.getsource(cls.forward) + inspect.getsource(cls.backward))
    for name in dict.fromkeys(called):
        if f"self.{name}(" in inspect.getsource(cls) and name in vars(cls):
            objects.append(f"{cls.__name__}.{name}")
        elif inspect.isfunction(getattr(module, name, None)):
            objects.append(name)
    return "\n".join(
        f"```{{literalinclude}} ../../{path}\n:pyobject: {name}\n:language: python\n:dedent:\n```\n" for name in objects
    )


def values(cls: type[Layer], shape: tuple[int, ...]) -> np.ndarray:
    """Return two rows of inputs: categories where the layer wants them."""
    x = np.random.default_rng(0).normal(size=(2, *shape)).round(1)
    if cls.__name__ == "Embedding":
        x[:, 0] = [1, 3]
    return x


def run(text: str, names: dict[str, Any]) -> str:
    """Run code as it stands on a page, and return what it prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(text, names)  # noqa: S102  (the page shows it)
    return "\n".join(line.rstrip() for line in out.getvalue().strip("\n").splitlines())


def page(cls: type[Layer]) -> tuple[str, str, str]:
    """Write the page and the picture of a layer; return its name, its summary and what the picture shows."""
    name, slug = cls.__name__, cls.__name__.lower()
    summary, formula, source = sections(cls)
    arguments, shape, also = usage(cls)
    call = f"{name}({arguments})"
    net = network(made(cls, arguments), shape)
    flat = ", Flatten()" if len(net.layers) == 2 else ""
    imported = ", ".join(sorted({name, *filter(None, also.split(", ")), *(["Flatten"] if flat else [])}))
    x = re.sub(r"\s+", " ", np.array2string(values(cls, shape), separator=", ", threshold=10**6))
    given = str(shape[0] if len(shape) == 1 else shape)
    example = "\n".join(
        [
            "import numpy as np",
            "import chainrule as cr",
            f"from chainrule.layers import {imported}\n",
            f'network = cr.Network({given}, [{call}{flat}], "squared_error", seed=0)',
            f"x = np.array({x})"
            if len(x) < 200
            else f"x = np.random.default_rng(0).normal(size={(2, *shape)}).round(1)",
            f"t = np.zeros({(2, *net.output_shape)})",
            "trace = cr.trace(network, x, t, optimizer=cr.optimizers.SGD(0.01), training=True)",
            "for step in trace.steps:",
            '    print(step.phase, *step.worked, sep="\\n    ")',
        ]
    )
    names: dict[str, Any] = {}
    worked = run(example, names)
    trace = run("print(trace.text(width=78))", names)
    checked = run(f"print(cr.check_layer({call}, {given}))", names)
    alt, caption = draw(made(cls, arguments), shape, LAYERS / f"{slug}.png")
    parts = {
        "name": name, "slug": slug, "summary": summary, "formula": formula, "derivation": derivation(cls),
        "alt": alt, "caption": caption, "path": Path(inspect.getfile(cls)).resolve().relative_to(ROOT).as_posix(),
        "code": code(cls), "example": example, "worked": worked, "trace": trace, "call": call, "check": checked,
        "given": given, "source": source,
    }  # fmt: skip
    write(LAYERS / f"{slug}.md", PAGE.format(**parts))
    return name, summary, alt


def build(_app: Any) -> None:
    """Write docs/layers."""
    here = Path(__file__)
    if is_newer(LAYERS / "index.md", here, here.with_name("layer_pictures.py"), DOCS / "mathematics.md"):
        return
    groups: dict[str, list[str]] = {}
    for cls in SHIPPED.values():
        name, summary, alt = page(cls)
        module = inspect.getmodule(cls)
        title = (
            ((module and module.__doc__) or "").partition("\n")[0].partition(".")[0].partition(",")[0].partition(":")[0]
        )
        groups.setdefault(title, []).append(CARD.format(name=name, slug=name.lower(), alt=alt, summary=summary))
    index = LAYERS / "index.md"
    grids = [
        f"## {title}\n\n::::{{grid}} 1 2 2 3\n:gutter: 3\n\n{chr(10).join(cards)}::::\n"
        for title, cards in groups.items()
    ]
    slugs = [name.lower() for name in SHIPPED]
    write(index, INDEX.format(groups="\n".join(grids), names="\n".join(slugs)))
    index.touch()
    remove_others(LAYERS, [index, *(LAYERS / f"{slug}{end}" for slug in slugs for end in (".md", ".png"))])


def setup(app: Any) -> dict[str, Any]:
    """Write the pages before Sphinx looks for them."""
    app.connect("builder-inited", build)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
