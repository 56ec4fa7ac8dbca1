"""The API pages: one for each module and each public name of docs/reference.py, written by autodoc."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any, NamedTuple

from built import DOCS, remove_others, write
from reference import ELSEWHERE, MODULES

API = DOCS / "api"
TITLES = {**MODULES, "chainrule": "The package"}


class Name(NamedTuple):
    """A public name: where it is imported from, what it is, and the module whose page lists it first."""

    module: str
    name: str
    thing: Any
    listed: str

    @property
    def path(self) -> str:
        """How a reader writes it: chainrule.layers.Dense, chainrule.train."""
        return f"{self.module}.{self.name}"

    @property
    def page(self) -> str:
        """The name of its page: not every file system can tell trace from Trace."""
        if isinstance(self.thing, type):
            return self.path
        names = dir(importlib.import_module(self.module))
        twin = any(name != self.name and name.lower() == self.name.lower() for name in names)
        return f"{self.path}-{'function' if callable(self.thing) else 'data'}" if twin else self.path


def public() -> dict[str, list[Name]]:
    """Return the public names of each module, in the order of the reference; each under its shortest path."""
    package = importlib.import_module("chainrule")
    homes: dict[int, Name] = {}
    found: dict[str, list[Name]] = {}
    for module_name in TITLES:
        module = importlib.import_module(module_name)
        found[module_name], own = [], getattr(module, "__all__", [])
        for name in [*ELSEWHERE.get(module_name, []), *own]:
            thing = getattr(module if name in own else package, name)
            short = name in dir(package) and getattr(package, name) is thing
            if name.startswith("__") or inspect.ismodule(thing):
                continue
            item = Name("chainrule" if short else module_name, name, thing, module_name)
            found[module_name].append(homes.setdefault(id(thing), item))
    return found


def members(cls: type) -> list[str]:
    """Return the public members that have a docstring of their own: those of the class, and of its private bases."""
    from sphinx.pycode import ModuleAnalyzer  # the tests list the pages without Sphinx

    everywhere = {name.thing for names in public().values() for name in names if isinstance(name.thing, type)}
    found: dict[str, None] = {}
    for base in cls.__mro__:
        if (
            not base.__module__.startswith("chainrule.")
            or "._internal." in base.__module__
            or (base is not cls and base in everywhere)
        ):
            continue
        try:
            comments = ModuleAnalyzer.for_module(base.__module__).find_attr_docs()
        except Exception:  # noqa: BLE001  (a class made at run time has no source)
            comments = {}
        for name, member in vars(base).items():
            documented = (base.__qualname__, name) in comments or (
                (callable(member) or isinstance(member, property | classmethod | staticmethod))
                and not isinstance(member, type)
                and bool(member.__doc__)
            )
            if not name.startswith("_") and documented:
                found.setdefault(name)
        for owner, name in comments:
            if owner == base.__qualname__ and not name.startswith("_"):
                found.setdefault(name)
    return list(found)


def heading(text: str, line: str = "=") -> str:
    """Return a heading of reStructuredText."""
    return f"{text}\n{line * len(text)}\n"


def page(item: Name) -> str:
    """Return the page of a name."""
    thing = item.thing
    if isinstance(thing, type):
        kind, options = "class", ""
        if listed := members(thing):
            options = f"\n   :members: {', '.join(listed)}"
        if thing.__mro__[1].__module__.startswith("chainrule") and not thing.__mro__[1].__name__.startswith("_"):
            options += "\n   :show-inheritance:"
    else:
        kind, options = ("function", "") if callable(thing) else ("data", "\n   :no-value:")
    also = ""
    if item.module == "chainrule.layers" and (DOCS / "layers" / f"{item.name.lower()}.md").exists():
        also = f"\nWhat it does, drawn, with its source and its gradient check: :doc:`/layers/{item.name.lower()}`.\n"
    title = item.path.removeprefix("chainrule.")
    return f"{heading(title)}{also}\n.. auto{kind}:: {item.path}{options}\n"


def module_page(module: str, title: str, names: list[Name]) -> str:
    """Return the page of a module: its docstring, and a table of its names."""
    lines = [heading(title), f".. automodule:: {module}\n   :no-members:\n", ".. list-table::\n   :class: names\n"]
    for item in names:
        first = (
            " ".join((inspect.getdoc(item.thing) or "").split("\n\n")[0].split())
            if callable(item.thing)
            else "A table."
        )
        lines.append(f"   * - :doc:`{item.name} <{item.page}>`\n     - {first}")
    own = [item for item in names if item.listed == module]
    lines += ["", ".. toctree::\n   :hidden:\n", *(f"   {item.name} <{item.page}>" for item in own)]
    return "\n".join(lines) + "\n"


def signature(
    _app: Any, kind: str, _name: str, thing: Any, _options: Any, arguments: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Return a class's arguments as ``help()`` gives them, where __new__ has others."""
    if kind != "class" or issubclass(thing, Exception):
        return arguments, returned
    try:
        parameters = inspect.signature(thing).parameters.values()
    except ValueError:
        return arguments, returned
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return str(inspect.Signature(bare)), returned


def shorten_links_back(_app: Any, name: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """Let the pages of source link back to API pages as a whole: viewcode knows one path for the names of a module."""
    if name.startswith("_modules/"):
        context["body"] = re.sub(r'(<a class="viewcode-back" href="[^"#]*)#[^"]*', r"\1", context["body"])


def build(_app: Any) -> None:
    """Write docs/api."""
    written = [API / "index.md"]
    for module, names in public().items():
        written.append(API / f"{module}.rst")
        write(written[-1], module_page(module, TITLES[module], names))
        for item in names:
            written.append(API / f"{item.page}.rst")
            write(written[-1], page(item))
    remove_others(API, written)


def setup(app: Any) -> dict[str, Any]:
    """Write the pages before Sphinx looks for them."""
    app.connect("autodoc-process-signature", signature)
    app.connect("html-page-context", shorten_links_back)
    app.connect("builder-inited", build, priority=600)  # after those of the layers, to which these pages link
    return {"parallel_read_safe": True, "parallel_write_safe": True}
