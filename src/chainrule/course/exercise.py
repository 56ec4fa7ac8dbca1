"""The parts of an exercise: a text, a function to fill, cases, the mistakes that are known by name, and hints."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

Call = Callable[..., Any]  # the learner's function, or ours


class Case(NamedTuple):
    """Arguments for the function, and how they differ from an ordinary batch, such as "with a batch of one row"."""

    arguments: tuple[Any, ...]
    about: str = ""


class Mistake(NamedTuple):
    """A known mistake: what it returns, words that name it, and a stronger hint for the second time.

    ``answer`` takes the arguments of the function. It returns what the function would, or a dict with some of the named
    results.
    """

    kind: str
    answer: Call
    words: str
    stronger: str


class Complaint(NamedTuple):
    """Something wrong: a word for programs, a sentence, and a stronger hint."""

    kind: str
    words: str
    stronger: str


@dataclass(frozen=True)
class Exercise:
    """One exercise. Its text is the docstring of the module that has its solution.

    Attributes
    ----------
    solution : function
        Its name and its first lines are those of the learner's file.
    cases : function
        Takes a ``numpy.random.Generator`` and yields cases, an ordinary batch first.
    returns : tuple of str
        Names of the results.
    hints : tuple of two str
        For mistakes that no other hint fits: a hint, and a stronger one.
    gradients : function, optional
        Takes the arguments and returns, for the names of some results, a loss and the array by which that result is
        its gradient: checked by :func:`chainrule.check_function`.
    judge : function, optional
        Takes the learner's function and a case, and yields complaints; instead of the comparison with the solution.
    others : tuple of function
        Functions like the solution whose results are right, too, such as those of another random draw.
    planted : function, optional
        What the learner's file has in place of an empty function: the solution with a mistake.
    """

    solution: Call
    cases: Callable[[np.random.Generator], Iterator[Case]]
    returns: tuple[str, ...]
    points: int
    hints: tuple[str, str]
    mistakes: tuple[Mistake, ...] = ()
    gradients: Callable[..., Mapping[str, tuple[Call, Any]]] | None = None
    judge: Callable[[Call, Case], Iterator[Complaint]] | None = None
    others: tuple[Call, ...] = ()
    planted: Call | None = None

    @property
    def name(self) -> str:
        """The name of the function and of the files."""
        return self.solution.__name__

    @cached_property
    def _page(self) -> str:
        module = inspect.getmodule(self.solution)
        return ast.get_docstring(ast.parse(inspect.getsource(module))) or ""  # type: ignore[arg-type]

    @property
    def title(self) -> str:
        """The first line of the text."""
        return self._page.partition("\n")[0].rstrip(".")

    @property
    def text(self) -> str:
        """The text without its title, as Markdown."""
        return self._page.partition("\n")[2].strip()

    @property
    def answer(self) -> str:
        """The solution as a file."""
        return f"import numpy as np\n\n\n{inspect.getsource(self.solution)}"

    @property
    def starter(self) -> str:
        """The learner's file: the function without its body, or with a planted mistake."""
        if self.planted is not None:
            code = inspect.getsource(self.planted).replace(f"def {self.planted.__name__}(", f"def {self.name}(", 1)
            return f"import numpy as np\n\n\n{code}"
        source = inspect.getsource(self.solution)
        (function,) = ast.parse(source).body
        first = function.body[0].end_lineno  # type: ignore[attr-defined]
        head = "\n".join(source.splitlines()[:first])
        return f"import numpy as np\n\n\n{head}\n    raise NotImplementedError  # write the function here\n"
