"""The commands in README and docs run as they stand there, on small tables and short trainings."""

import contextlib
import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from chainrule.datasets import DATASETS, Dataset
from chainrule.datasets.customers import customers
from chainrule.training.checkpoints import Checkpoint
from test_docs import DOCUMENTS, ROOT

PROGRAMS = ("chainrule", "python", "pip", "export")
MNIST = Path(os.environ.get("CHAINRULE_DATA") or ROOT.parent / "shared" / "data" / "mnist")
COMMANDS = [
    pytest.param(name, [line.strip() for line in lines], id=f"{name}-{i}", marks=pytest.mark.slow)
    for name, text in DOCUMENTS.items()
    for i, (indented, group) in enumerate(
        itertools.groupby(re.sub(r"```.*?```", "", text, flags=re.DOTALL).splitlines(), lambda x: x.startswith("    "))
    )
    if indented and (lines := [*group])[0].split()[0] in PROGRAMS
]
# What takes long is made shorter: the options that are added to a command, or written in place of others.
SHORTER = {
    "--epochs 200": "--epochs 2",
    "--trials 50": "--trials 1 --folds 2",
    "train customers.csv --target churned": "train customers.csv --target churned --epochs 2",
    "train big.parquet": "train big.parquet --epochs 1",
    "-m benchmarks ": "-m benchmarks --quick ",
    "-m benchmarks.tabular": "-m benchmarks.tabular --quick wine diabetes",
    "mnist_records.py": "mnist_records.py --rows 300 --epochs 1",
    "--seeds 0 1 2": "--seeds 0",
    "train digits": "train digits --epochs 3",
    "check --engine": "check runs/digits --engine",  # all that is built in has been checked by the command before
    "chainrule playground": "chainrule playground --no-browser",
    "serve runs/customers": "serve runs/customers --port 0",
    "chainrule sample": "chainrule sample --overwrite",
}


def killed(self, run, on_epoch=Checkpoint.on_epoch):
    """Stands for the end of the process, after the first checkpoint."""
    on_epoch(self, run)
    raise SystemError


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A reader's folder: tables, layers and networks of their own, and what they trained before."""
    pl = pytest.importorskip("polars")
    resuming = pytest.importorskip("chainrule.cli.resuming")
    folder = tmp_path_factory.mktemp("reader")
    rng = np.random.default_rng(0)
    frame = pl.read_csv(customers(240).encode())
    for name in ("customers", "sales", "labeled"):  # ONNX has no texts
        frame.drop("last_message" if name == "sales" else []).write_csv(folder / f"{name}.csv")
    frame.drop("churned").write_csv(folder / "people.csv")
    homes = rng.normal(size=(120, 3))
    pl.DataFrame(homes @ [[1, 0, 1], [0, 1, 2], [0, 1, -1]], schema=["size", "price", "rent"]).write_csv(
        folder / "homes.csv"
    )
    np.savetxt(folder / "digits.csv", rng.integers(0, 17, (5, 64)), delimiter=",", fmt="%d")
    frame.drop("churned").write_parquet(folder / "new.parquet")
    frame.rename({"churned": "y"}).write_parquet(folder / "big.parquet")
    (code,) = re.findall(r"```python\n(.*?class Softsign.*?)```", DOCUMENTS["gradient-check.md"], re.DOTALL)
    right = code.replace("self.size", "memo.size").replace("dy / memo.size", "dy / memo.size**2")
    (folder / "my_layer.py").write_text(right, encoding="utf-8")
    network = (
        "\n\nnetwork = cr.Network(3, [cr.layers.Dense(4), Softsign(), cr.layers.Dense(2)], 'squared_error', seed=0)\n"
    )
    for name in ("my_net.py", "my_network.py"):
        (folder / name).write_text(f"import chainrule as cr\n{right}{network}", encoding="utf-8")
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATASETS, "mnist", mnist)
        patch.setattr(resuming, "EVERY", timedelta(0))
        patch.setattr(Checkpoint, "on_epoch", killed)
        with pytest.raises(SystemError):
            chainrule("train mnist --epochs 2 --layers 8")
        patch.undo()
        chainrule("train digits --epochs 3")
        for name in ("sales", "customers"):
            chainrule(f"train {name}.csv --target churned --epochs 2")
    return folder


def chainrule(arguments):
    """Run a command of chainrule in this process and return what it prints."""
    from typer.testing import CliRunner  # noqa: PLC0415  (the same)

    from chainrule.cli.app import app  # noqa: PLC0415  (it needs extras)

    done = CliRunner().invoke(app, shlex.split(arguments), catch_exceptions=False)
    assert done.exit_code == 0, f"chainrule {arguments}\n{done.output}"
    return done.stdout


def mnist(split, folder=None):
    """Stands for MNIST: 300 images."""
    rng = np.random.default_rng(0)
    names = tuple(map(str, range(10)))
    return Dataset("mnist", rng.random((300, 784)).astype("float32"), np.arange(300) % 10, names, (28, 28))


@pytest.mark.parametrize(("name", "lines"), COMMANDS)
def test_commands_in_the_documents_run(name, lines, kept, tmp_path, monkeypatch, unpainted):
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    (tmp_path / "docs").mkdir(exist_ok=True)  # of the repository, where these commands are typed
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(DATASETS, "mnist", mnist)
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: None)  # a service would wait for requests
    new = "digits.csv" if name == "guide.md" else "people.csv"  # what new.csv has is the page's own
    (tmp_path / new).rename("new.csv")
    for line in lines:
        command, _, output = re.sub(r"  +#.*", "", line).partition(" > ")
        for usual, short in SHORTER.items():
            command = command.replace(usual, short)
        program, _, rest = command.partition(" ")
        if program == "pip":
            runs_elsewhere(rest)
        elif program == "chainrule":
            Path(output or os.devnull).write_text(chainrule(rest), encoding="utf-8")
        elif program == "python" and ("mnist" not in rest or MNIST.is_dir()):
            environment = {
                **os.environ,
                "CHAINRULE_DATA": str(MNIST),
                "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
            }
            rest = (
                rest.replace("--keep", "")
                .replace("examples/", f"{ROOT}/examples/")
                .replace("docs/figures", f"{ROOT}/docs/figures")
            )
            subprocess.run([sys.executable, *shlex.split(rest)], check=True, env=environment)


def runs_elsewhere(command):
    """What pip is asked for exists: .ci/run and each release type it."""
    install, *rest = shlex.split(command.partition(" && ")[0])
    asked = [Requirement(re.sub(r"^\.", "chainrule", word)) for word in rest if not word.startswith("-")]
    assert install == "install"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert all(one.extras <= {*extras} if one.name == "chainrule" else one.specifier for one in asked)
