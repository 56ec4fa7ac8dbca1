"""Shapes and types in chainrule's signatures are checked at every call while the tests run.

``install()`` puts a decorator on each function when its module is imported. It does what ``jaxtyping.jaxtyped`` with
beartype does, in one pass rather than two and without binding the arguments, which takes a tenth of the time.
"""

import ast
import functools
import inspect
import sys
import types
import typing
import zlib
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path

from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, TypeCheckError, jaxtyped

UNCHECKED = "chainrule.training.compiled"  # Numba compiles these functions
VERSION = f".checked{zlib.crc32(Path(__file__).read_bytes())}.pyc"  # of the bytecode
NO_FILE = "<checked>"  # of the decorator: errors and warnings that name a line name one of another file
DECORATOR = f"__import__({__name__!r}).checked"
# A function that takes a float also takes an int.
against_hints = beartype(conf=BeartypeConf(is_pep484_tower=True, violation_type=TypeCheckError))


def checked(function):
    """Return a function that checks its arguments and its result, or a dataclass that checks its fields."""
    if isinstance(function, type):
        if "__dataclass_fields__" in vars(function) and not hasattr(function.__init__, "__wrapped__"):
            function.__init__ = checked(function.__init__)
        return function
    ready, shapes = None, True

    @functools.wraps(function)
    def check(*arguments, **named):
        nonlocal ready, shapes
        if ready is None:  # the check is written at the first call, which most never have
            ready, shapes = written(function)
        if not shapes:
            return ready(*arguments, **named)
        with jaxtyped("context"):  # "batch" is one number in all arguments and the result
            return ready(*arguments, **named)

    check.__code__ = check.__code__.replace(co_filename=NO_FILE)
    return check


def written(function):
    """Return the function with its check, and whether that one compares shapes."""
    if inspect.isgeneratorfunction(function):  # what it yields later has no context
        return jaxtyped(function, typechecker=against_hints), False
    copy = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    functools.update_wrapper(copy, function)
    del copy.__wrapped__
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__annotations__ = {name: hint(one, function) for name, one in function.__annotations__.items()}
    return against_hints(copy), any(map(has_shape, copy.__annotations__.values()))


def hint(annotation, function):
    """Return the type that an annotation stands for; names that only type checkers import are Any."""
    try:
        holder = types.SimpleNamespace(__annotations__={"_": annotation})
        return typing.get_type_hints(holder, function.__globals__, include_extras=True)["_"]
    except Exception:  # noqa: BLE001  (whatever evaluating it raises)
        return typing.Any


def has_shape(annotation):
    """Return whether a type is or contains one of jaxtyping's."""
    if isinstance(annotation, list | tuple):
        return any(map(has_shape, annotation))
    return isinstance(annotation, type(AbstractArray)) or has_shape(typing.get_args(annotation) or ())


class _Decorate(ast.NodeTransformer):
    def visit_FunctionDef(self, node):
        decorator = ast.parse(DECORATOR, mode="eval").body
        for part in ast.walk(decorator):
            ast.copy_location(part, node)
        # A function is checked as it is written; a class once it is a dataclass.
        node.decorator_list.insert(0 if isinstance(node, ast.ClassDef) else len(node.decorator_list), decorator)
        return self.generic_visit(node)

    visit_ClassDef = visit_FunctionDef  # noqa: N815


class _Loader(SourceFileLoader):
    """Compiles a module with the decorators, and keeps its bytecode beside the usual one."""

    def source_to_code(self, data, path, *, _optimize=-1):
        return compile(_Decorate().visit(ast.parse(data)), path, "exec", dont_inherit=True, optimize=_optimize)

    def get_data(self, path):
        return super().get_data(path.replace(".pyc", VERSION))

    def set_data(self, path, data, **mode):
        super().set_data(path.replace(".pyc", VERSION), data, **mode)


class _Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] != "chainrule" or name.startswith(UNCHECKED):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def install():
    """Check every module of chainrule that is imported from here on."""
    if _Finder not in sys.meta_path:
        assert "chainrule" not in sys.modules, "chainrule was imported before its signatures could be checked"
        sys.meta_path.insert(0, _Finder)
