"""The gallery: each script is run as its reader runs it; its page shows the picture, the output and the source.

Sphinx-Gallery is not used. It cuts a flat script into blocks and collects pyplot's figures, but these scripts are
programs with a function ``main`` and options, and tests run them as such.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from built import DOCS, ROOT, is_newer, remove_others, write

GALLERY = DOCS / "gallery"
CLASSICS = ("moons_from_likelihood", "digits_relu_sigmoid", "digits_validated")  # the others take minutes, or MNIST
INDEX = """# Gallery

Short programs that answer one question, each with its source. They run in seconds, and save their pictures in the
folder `pictures`.

::::{{grid}} 1 2 2 3
:gutter: 3

{cards}
::::

```{{toctree}}
:hidden:

{names}
```
"""
CARD = """:::{{grid-item-card}} {title}
:link: {name}
:link-type: doc
{image}
{subtitle}
:::
"""
PAGE = """# {title}

{subtitle}

{text}

{pictures}

It prints:

```text
{output}
```

## Source

{{download}}`{path} <../../{path}>`

```{{literalinclude}} ../../{path}
:language: python
:start-at: import
```
"""


def scripts() -> list[Path]:
    """Return the programs of the gallery."""
    return [*sorted(ROOT.glob("examples/gallery/*.py")), *(ROOT / "examples" / f"{name}.py" for name in CLASSICS)]


def run(script: Path) -> Path:
    """Run a script in an empty folder, and write its page."""
    page = GALLERY / f"{script.stem}.md"
    if is_newer(page, script, Path(__file__)):
        return page
    source = script.read_text(encoding="utf-8")
    with TemporaryDirectory() as folder:
        environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(ROOT / "src")}
        command = [sys.executable, "-W", "error", str(script)]
        done = subprocess.run(  # noqa: S603  (a script of this repository)
            command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=300, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{script.name} failed:\n{done.stderr}")
        pictures = []
        for path in sorted(Path(folder).glob("pictures/*.png")):
            GALLERY.mkdir(exist_ok=True)
            shutil.copy(path, GALLERY / path.name)
            pictures.append(path.name)
    first, _, text = source.split('"""')[1].strip().partition("\n")
    title, _, subtitle = first.rstrip(".").partition(": ")
    parts = {
        "title": title,
        "subtitle": f"{subtitle[:1].upper()}{subtitle[1:]}." if subtitle else "",
        "text": text.strip(),
        "pictures": "\n\n".join(f"![What the program draws: {title}]({name})" for name in pictures),
        "output": done.stdout.strip(),
        "path": script.relative_to(ROOT).as_posix(),
    }
    write(page, PAGE.format(**parts))
    page.touch()
    return page


def build(_app: Any) -> None:
    """Write docs/gallery."""
    with ThreadPoolExecutor(2) as pool:
        pages = list(pool.map(run, scripts()))
    cards = []
    for page in pages:
        lines = page.read_text(encoding="utf-8").splitlines()
        title, subtitle = lines[0].removeprefix("# "), lines[2]
        picture = next((line for line in lines if line.startswith("![")), "")
        image = f":img-top: {picture.rpartition('](')[2][:-1]}\n:img-alt: {title}" if picture else ""
        cards.append(CARD.format(title=title, subtitle=subtitle, name=page.stem, image=image))
    index = GALLERY / "index.md"
    write(index, INDEX.format(cards="\n".join(cards), names="\n".join(page.stem for page in pages)))
    remove_others(GALLERY, [index, *pages, *GALLERY.glob("*.png")])


def setup(app: Any) -> dict[str, Any]:
    """Run the scripts before Sphinx looks for pages."""
    app.connect("builder-inited", build)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
