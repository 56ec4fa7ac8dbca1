"""Names, and the value classes: what prints as it is typed, equals its like, and never changes."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import chainrule as cr
import variants
from chainrule import initializers, layers, losses, optimizers, penalties, schedules
from chainrule._internal.config import Config, FrozenConfig
from chainrule._internal.names import did_you_mean, key, lookup, named, public_classes
from chainrule.training import clipping

MODULES = {
    "layers": (layers, layers.Layer),
    "losses": (losses, losses.Loss),
    "initializers": (initializers, initializers.Initializer),
    "optimizers": (optimizers, optimizers.Optimizer),
    "schedules": (schedules, schedules.Schedule),
    "penalties": (penalties, penalties.Penalty),
    "constraints": (penalties, penalties.Constraint),
    "clipping": (clipping, clipping.Clip),
}
CLASSES = {f"{family}.{name}": cls for family, where in MODULES.items() for name, cls in public_classes(*where).items()}


def retyped(value, where):
    """What its repr makes where the names of its module and those of its possible arguments are known."""
    return eval(repr(value), vars(initializers) | vars(schedules) | vars(MODULES[where.split(".")[0]][0]))


# Arguments of those that are not in tests/variants.py, and cannot do without or have more forms than their defaults.
ARGUMENTS = {
    "initializers.Constant": [{"value": 0.5}],
    "initializers.Uniform": [{}, {"low": -1.0, "high": 2.0}, {"high": 1.0}],
    "initializers.Normal": [{}, {"std": 1.0, "mean": 0.5}],
    "penalties.L1": [{"strength": 0.1}, {"strength": 0.1, "layers": [0, -1], "biases": True}],
    "penalties.L2": [{"strength": 0.1}, {"strength": 0.1, "layers": 2}],
    "constraints.MaxNorm": [{"limit": 3.0}, {"limit": 3.0, "layers": (0, 1)}],
    "clipping.ClipValue": [{"limit": 0.5}],
    "clipping.ClipNorm": [{"limit": 0.5}],
}
TABLE = variants.forms([*variants.LAYERS, *variants.LOSSES, *variants.OPTIMIZERS, *variants.SCHEDULES])
FORMS = [
    (where, arguments) for where, cls in CLASSES.items() for arguments in TABLE.get(cls, ARGUMENTS.get(where, [{}]))
]
every_form = pytest.mark.parametrize(("where", "arguments"), FORMS, ids=[f"{w}({a})" for w, a in FORMS])
VALUES = [form for form in FORMS if issubclass(CLASSES[form[0]], FrozenConfig)]
every_value = pytest.mark.parametrize(("where", "arguments"), VALUES, ids=[f"{w}({a})" for w, a in VALUES])


def test_every_public_class_can_be_made_here():
    for where, cls in CLASSES.items():
        try:
            cls(**next(arguments for name, arguments in FORMS if name == where))
        except TypeError as error:
            pytest.fail(f"add {where} to tests/variants.py, or its arguments to ARGUMENTS in this file: {error}")
    assert set(ARGUMENTS) <= set(CLASSES), f"no longer public: {sorted(set(ARGUMENTS) - set(CLASSES))}"
    assert len(CLASSES) > 40


@every_form
def test_what_is_printed_can_be_typed(where, arguments):
    first = CLASSES[where](**arguments)
    again = retyped(first, where)
    assert type(again) is type(first)
    if where != "layers.Residual":  # the layers inside are compared by what is printed of them
        assert again.arguments() == first.arguments(), f"{first!r}"
    assert repr(again) == repr(first)
    for name in arguments:
        assert repr(getattr(first, name)) in repr(first)


@every_value
def test_equal_arguments_make_equal_values(where, arguments):
    cls = CLASSES[where]
    first, second = cls(**arguments), cls(**copy.deepcopy(arguments))
    assert first == second
    assert hash(first) == hash(second), f"{first!r}"
    assert len({first, second}) == 1
    assert retyped(first, where) == first
    for other in (pickle.loads(pickle.dumps(first)), copy.copy(first), copy.deepcopy(first)):
        assert other == first
    assert first != object()
    assert first != repr(first)


@every_value
def test_values_never_change(where, arguments):
    value = CLASSES[where](**arguments)
    before = dict(vars(value))
    for name in before:
        with pytest.raises(AttributeError, match=f"is immutable: create a new {type(value).__name__}"):
            setattr(value, name, 0.5)
    assert vars(value) == before


def test_different_arguments_and_classes_make_different_values():
    assert optimizers.SGD(0.1) != optimizers.SGD(0.2)
    assert optimizers.Momentum(0.1) != optimizers.Nesterov(0.1)
    assert penalties.L2(0.1) != penalties.L1(0.1)
    assert penalties.L2(0.1) != penalties.L2(0.1, biases=True)
    assert schedules.WarmUp(2) != schedules.WarmUp(2, then=schedules.Cosine())
    everything = [CLASSES[where](**arguments) for where, arguments in VALUES]
    for i, a in enumerate(everything):
        assert [j for j, b in enumerate(everything) if a == b] == [i], f"{a!r} equals something else"


def test_a_value_does_not_share_the_list_it_was_given():
    given = [0, 2]
    penalty = penalties.L2(0.1, layers=given)
    given.append(3)
    assert penalty == penalties.L2(0.1, layers=(0, 2)) == penalties.L2(0.1, layers=[0, 2])
    assert len({penalty, penalties.L2(0.1, layers=[0, 2])}) == 1


def test_numbers_of_numpy_become_those_of_python():
    rate = np.logspace(-3, -1, 3)[1]
    assert repr(optimizers.SGD(rate)) == f"SGD(learning_rate={float(rate)!r})"
    assert type(optimizers.SGD(rate).learning_rate) is float
    assert type(layers.Dropout(np.float64(0.5)).rate) is float
    assert optimizers.SGD(np.float64(0.5)) == optimizers.SGD(0.5)


def test_layers_are_told_apart_though_they_are_typed_alike():
    """A layer gets shapes and parameters when it is bound: two of them are two."""
    assert layers.ReLU() != layers.ReLU()
    assert isinstance(layers.ReLU(), Config)
    assert not isinstance(layers.ReLU(), FrozenConfig)


# Names ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", CLASSES)
def test_every_class_is_found_by_its_name_in_any_spelling(where):
    family, name = where.split(".")
    table = public_classes(*MODULES[family])
    snake = "".join("_" + c.lower() if c.isupper() else c for c in name).strip("_")
    for spelling in (name, name.lower(), name.upper(), snake, snake.replace("_", "-")):
        assert lookup("thing", spelling, table) is CLASSES[where], spelling


@pytest.mark.parametrize("family", MODULES)
def test_no_two_names_of_a_family_are_alike(family):
    names = list(public_classes(*MODULES[family]))
    assert len({key(name) for name in names}) == len(names)


@pytest.mark.parametrize("family", MODULES)
def test_public_classes_are_concrete_and_final(family):
    table = public_classes(*MODULES[family])
    assert table, "there is something in it"
    assert MODULES[family][1].__name__ not in table, "the base class is abstract"
    for name, cls in table.items():
        assert getattr(cls, "__final__", False), f"{name}: every class is abstract or final"
        assert cls.__doc__, f"{name} has no docstring"
        concrete = [base.__name__ for base in cls.__mro__[1:] if base.__name__ in table]
        assert not concrete, f"{name} inherits from the concrete {concrete}"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: lookup("optimizer", "adamm", {"Adam": 1, "SGD": 2}),
            r"unknown optimizer 'adamm'\. Did you mean 'Adam'\?",
        ),
        (lambda: lookup("optimizer", "zzz", {"Adam": 1, "SGD": 2}), r"unknown optimizer 'zzz'\. Known: Adam, SGD\."),
        (lambda: lookup("loss", "", {"Huber": 1}), r"unknown loss ''\. Known: Huber\."),
        (
            lambda: named("layer", "dropout", layers.Layer, layers),
            r"layer: 'dropout' has no defaults; give the object, as in Dropout\(\.\.\.\)",
        ),
        (lambda: named("loss", "softmax_crossentropi", losses.Loss, losses), "Did you mean 'SoftmaxCrossEntropy'"),
    ],
)
def test_an_unknown_name_is_answered_with_a_suggestion(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_named_takes_an_object_or_a_name():
    given = optimizers.SGD(0.5)
    assert named("optimizer", given, optimizers.Optimizer, optimizers) is given
    assert named("optimizer", "rms_prop", optimizers.Optimizer, optimizers) == optimizers.RMSProp()
    assert named("loss", "Squared-Error", losses.Loss, losses) == losses.SquaredError()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (optimizers.SGD, r"optimizer: got the class SGD; give an object of it: SGD\(\.\.\.\)"),
        (0.1, "optimizer: expected an Optimizer or its name, got 0.1"),
        (None, "expected an Optimizer or its name, got None"),
        (losses.Huber(), r"expected an Optimizer or its name, got Huber\(\)"),
    ],
    ids=str,
)
def test_what_is_neither_is_refused(value, message):
    with pytest.raises(TypeError, match=message):
        named("optimizer", value, optimizers.Optimizer, optimizers)


def test_did_you_mean_suggests_the_nearest_name():
    assert did_you_mean("rleu", ["relu", "tanh"]) == "Did you mean 'relu'? Known: relu, tanh."
    assert did_you_mean("RELUU", ["ReLU", "Tanh"]) == "Did you mean 'ReLU'? Known: ReLU, Tanh."
    assert did_you_mean("qqq", ["relu", "tanh"]) == "Known: relu, tanh."


def test_the_public_names_exist():
    assert sorted(cr.__all__, key=lambda name: (not name.isupper(), name)) == list(cr.__all__), "in order"
    for name in cr.__all__:
        if name != "plotting":  # needs an extra
            assert getattr(cr, name) is not None
    with pytest.raises(AttributeError, match="module 'chainrule' has no attribute 'trian'"):
        cr.trian  # noqa: B018
    for family in (layers, losses, initializers, optimizers, schedules, penalties, clipping):
        for name in family.__all__:
            assert hasattr(family, name), f"{family.__name__}.{name}"
