"""Configurations and data that somebody broke: the command line works, or says why not in one line.

A few hundred of them in every run of the tests, 6,000 with CHAINRULE_HARD=1.
"""

import io
import json
import os
import random
import zipfile

import numpy as np
import pytest
from typer.testing import CliRunner

from chainrule.cli.app import app

NUMBER = 1500 if os.environ.get("CHAINRULE_HARD") else 60  # of each kind
ODD = [None, True, -1, 0, 0.5, 1e308, float("nan"), 2**63, 10**30, "", "x", "../..", "os.system", "é", [], {}, [[]],
       [0] * 100, {"a": 1}, "\x1b[2J", "\ud800", "1e5", "digits", [1, 2], [8, 8]]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "moons"
    command("train", "moons", "--epochs", "1", "--layers", "4", "--out", folder, "--quiet")
    return folder


def command(*arguments):
    """Run a command in this process; what it ends with is success, or one line that says what is wrong."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in (0, 1, 2), result.output
    if result.exit_code:
        assert result.stderr.startswith(("Error: ", "Usage: ")), result.stderr
        assert result.stderr.startswith("Usage: ") or result.stderr.count("\n") == 1, result.stderr
        assert "\x1b" not in result.stderr
    return result


def flipped(content, rng):
    data = bytearray(content)
    for _ in range(rng.choice([1, 2, 20])):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def cut(content, rng):
    return content[: rng.randrange(len(content))]


def doubled(content, rng):
    start = rng.randrange(len(content))
    return content[:start] + content[start : start + 50] * rng.choice([2, 30]) + content[start:]


def replaced(content, rng):
    """Put an odd value in place of one of the JSON's, or take it away."""
    tree = json.loads(content)
    container, key = rng.choice([*_places(tree)])
    if rng.random() < 0.2:
        del container[key]
    else:
        container[key] = rng.choice(ODD)
    return json.dumps(tree).encode()


def _places(value):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from _places(inner)


BREAK = [flipped, cut, doubled]


@pytest.mark.parametrize("number", range(0, NUMBER, 20))
def test_configurations(number, trained):
    path = trained / "config.json"
    whole = path.read_bytes()
    try:
        for i in range(number, number + 20):
            rng = random.Random(i)
            path.write_bytes(rng.choice([*BREAK, replaced, replaced, replaced])(whole, rng))
            command("predict", trained, "moons")
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("number", range(0, NUMBER, 20))
def test_plans_of_runs_that_go_on(number, tmp_path, trained):
    folder = tmp_path / "run"
    plan = folder / "checkpoints" / "run.json"
    plan.parent.mkdir(parents=True)
    options = json.loads((trained / "config.json").read_text())["options"] | {"epochs": 1, "layers": [2]}
    arguments = {"rows": 40, "noise": 0.2, "seed": 0}
    old = {"dataset": "moons", "arguments": arguments, "options": options}  # as version 0.1 wrote it
    new = {
        "kind": "data set", "source": "moons", "options": options | {"layers": "2"}, "arguments": arguments,
        "command": "chainrule train moons",
    }  # fmt: skip
    for i in range(number, number + 20):
        rng = random.Random(i)
        whole = json.dumps((old, new)[i % 2]).encode()
        plan.parent.mkdir(exist_ok=True)
        broken = rng.choice([*BREAK, replaced, replaced, replaced])(whole, rng)
        if any(
            len(digits) > 3 for digits in "".join(c if c.isdigit() else " " for c in broken.decode("latin-1")).split()
        ):
            continue  # a run of a million epochs is none that can be refused, only one that takes long
        plan.write_bytes(broken)
        command("train", "--resume", folder, "--quiet")


def tables(rng):
    """Return the bytes of a file of rows and the ending of its name."""
    X = rng.choice([-1.5, 0.25, 1e30]) * np.ones((rng.randrange(1, 30), 2))
    kind = rng.choice([".csv", ".npy", ".npz"])
    if kind == ".csv":
        separator = rng.choice([",", ";", "\t"])
        lines = [separator.join(map(str, row)) for row in X]
        return ("\n".join(["a" + separator + "b", *lines]) + "\n").encode(), kind
    file = io.BytesIO()
    (np.save if kind == ".npy" else np.savez)(file, X)
    return file.getvalue(), kind


@pytest.mark.parametrize("number", range(0, NUMBER, 20))
@pytest.mark.filterwarnings("ignore::UserWarning:zipfile")
def test_rows(number, trained, tmp_path):
    for i in range(number, number + 20):
        rng = random.Random(i)
        content, ending = tables(rng)
        path = tmp_path / f"rows{ending}"
        path.write_bytes(rng.choice(BREAK)(content, rng))
        command("predict", trained, path)


def test_archives_that_are_bombs(trained, tmp_path):
    """An archive that says it has a terabyte, or a thousand arrays, is refused before it is unpacked."""
    path = tmp_path / "rows.npz"
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000, 2), }"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", header.ljust(127) + b"\n" + bytes(1000))
    assert command("predict", trained, path).exit_code
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(1000):
            archive.writestr(f"{i}.npy", header.ljust(127) + b"\n")
    assert command("predict", trained, path).exit_code
