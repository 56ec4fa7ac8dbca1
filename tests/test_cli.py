"""The command line: what it prints and writes, what it refuses, and that nothing is left half-done."""

import csv
import dataclasses
import inspect
import json
import os
import re
import signal
import subprocess
import sys
from datetime import timedelta

import numpy as np
import pytest
from typer.testing import CliRunner

import chainrule as cr
from chainrule.cli import data, options, reading, recipes, report, resuming
from chainrule.cli.app import app
from chainrule.cli.options import TrainOptions
from chainrule.datasets import DATASETS, Dataset
from chainrule.files.writing import writing
from chainrule.training.checkpoints import Checkpoint
from commands import COMMANDS

FILES = {"model.safetensors", "history.csv", "config.json", "curves.png", "confusion.png"}
IMAGES = {"mistakes.png", "weights.png"}
COMMAND = [sys.executable, "-m", "chainrule"]
QUICK = ["--epochs", "2", "--layers", "8"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, unpainted):
    """Every test works in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments, status=0, **kwargs):
    result = CliRunner().invoke(app, [str(a) for a in arguments], **kwargs)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result


def refused(*arguments, match, status=2, **kwargs):
    """The command says why not, in one line on standard error."""
    result = run(*arguments, status=status, **kwargs)
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert re.search(match, result.stderr), result.stderr


def accuracy(text):
    return re.search(r"accuracy (\d\.\d{4}): .*", text).group(0)


def config(path):
    return json.loads((path / "config.json").read_text(encoding="utf-8"))


def names(path):
    return {file.name for file in path.iterdir()}


@pytest.fixture(scope="module")
def moons(tmp_path_factory):
    """A finished run that tests may read."""
    path = tmp_path_factory.mktemp("runs") / "moons"
    run("train", "moons", "--epochs", 10, "--seed", 3, "--out", path, "--quiet")
    return path


@pytest.fixture
def copy(moons, here):
    """A finished run that a test may spoil."""
    target = here / "copy"
    target.mkdir()
    for file in moons.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


class TestTrain:
    @pytest.mark.slow
    def test_digits_by_default_are_learned(self, here):
        done = subprocess.run([*COMMAND, "train", "digits"], check=True, capture_output=True, text=True)
        path = here / "runs" / "digits"
        assert names(path) == FILES | IMAGES
        written = config(path)
        assert written["results"]["accuracy"] >= 0.97
        assert written["rows"] == {"train": 1257, "validation": 180, "test": 360}
        lines = done.stdout.splitlines()
        assert [line for line in lines if line.startswith("epoch ")][-1].startswith("epoch 60/60  loss ")
        assert "class  precision  recall     F1  support" in lines
        assert lines[-3:] == [
            f"results  {path.relative_to(here)}",
            f"pictures {', '.join(sorted(name for name in FILES | IMAGES if name.endswith('.png')))}",
            f"next     chainrule explain {path.relative_to(here)}",
        ]
        assert re.sub(r"chainrule: compiling.*\n", "", done.stderr) == ""
        again = subprocess.run([*COMMAND, "evaluate", path], check=True, capture_output=True, text=True)
        assert accuracy(again.stdout) == accuracy(done.stdout)

    @pytest.mark.few(1)
    @pytest.mark.parametrize("name", ["moons", "circles", "spirals"])
    def test_points_are_learned_and_their_boundary_drawn(self, name, here, unpainted):
        unpainted.undo()
        run("train", name, "--quiet")
        path = here / "runs" / name
        assert names(path) == FILES | {"boundary.png"}
        assert all(picture.stat().st_size > 1000 for picture in path.glob("*.png"))
        assert config(path)["results"]["accuracy"] >= 0.95

    @pytest.mark.slow
    def test_mnist_has_its_own_test_part(self, here, monkeypatch):
        rng = np.random.default_rng(0)

        def load(split, folder):
            rows = {"train": 240, "test": 50}[split]
            t = np.arange(rows) % 3
            X = rng.random((rows, 12)).astype("float32") * 0.5
            X[np.arange(rows), t] = 1
            return Dataset("mnist", X, t, ("a", "b", "c"), (3, 4))

        monkeypatch.setitem(DATASETS, "mnist", load)
        result = run("train", "mnist", "--data", "given", "--epochs", 1)
        written = config(here / "runs" / "mnist")
        assert written["rows"] == {"train": 220, "validation": 20, "test": 50}
        assert written["arguments"] == {"folder": str(here / "given")}
        assert "220 training, 20 validation, 50 test rows" in result.output

    @pytest.mark.skipif("CHAINRULE_DATA" not in os.environ, reason="needs the files of MNIST")
    @pytest.mark.slow
    def test_mnist_by_default(self, here):
        run("train", "mnist", "--quiet")
        assert config(here / "runs" / "mnist")["results"]["accuracy"] >= 0.975

    def test_every_option_reaches_the_training(self, here):
        result = run(
            "train", "circles", "--layers", "8,4", "--activation", "leaky-relu", "--dropout", 0.1, "--input-dropout",
            0.05, "--l1", 1e-5, "--l2", 1e-4, "--max-norm", 3, "--optimizer", "RMSProp", "--learning-rate", 0.02,
            "--schedule", "cosine", "--warm-up", 1, "--clip-norm", 5, "--epochs", 3, "--batch-size", 50, "--patience",
            2, "--label-smoothing", 0.1, "--seed", 7,
        )  # fmt: skip
        written = config(here / "runs" / "circles")
        assert written["options"] == {
            "layers": [8, 4], "activation": "leaky-relu", "dropout": 0.1, "input_dropout": 0.05, "l1": 1e-5, "l2": 1e-4,
            "max_norm": 3.0, "optimizer": "RMSProp", "learning_rate": 0.02, "schedule": "cosine", "warm_up": 1.0,
            "clip_norm": 5.0, "epochs": 3, "batch_size": 50, "patience": 2, "label_smoothing": 0.1, "seed": 7,
        }  # fmt: skip
        network = cr.load(here / "runs" / "circles" / "model.safetensors")
        kinds = [type(layer).__name__ for layer in network.layers]
        assert kinds == ["Dropout", "Dense", "LeakyReLU", "Dropout", "Dense", "LeakyReLU", "Dropout", "Dense"]
        for part in ("RMSProp(learning_rate=0.02)", "WarmUp(1.0, then=Cosine())", "ClipNorm(5.0)", "L1(1e-05)",
                     "L2(0.0001)", "MaxNorm(3.0)", "SoftmaxCrossEntropy(label_smoothing=0.1)"):  # fmt: skip
            assert part in result.output

    @pytest.mark.parametrize(
        "schedule", ["constant", "inverse-time", "inverse-scaling", "exponential", "step", "cosine", "one-cycle"]
    )
    def test_every_schedule_has_arguments(self, schedule):
        made = recipes.schedule(recipes.resolve("moons", None, schedule=schedule))
        assert isinstance(made, cr.schedules.Schedule)
        assert made.factor(59.9, 60) <= 1

    def test_another_optimizer_has_its_own_learning_rate(self):
        assert recipes.resolve("digits", None).learning_rate == recipes.RECIPES["digits"].learning_rate
        assert recipes.resolve("digits", None, optimizer="sgd").learning_rate == cr.optimizers.SGD().learning_rate

    def test_every_option_is_in_the_one_table(self):
        """A name that is kept, passed on or refused is that of an option; what a data set has, ``train`` can be given."""
        known = {field.name for field in dataclasses.fields(TrainOptions)}
        resolved = {field.name for field in dataclasses.fields(recipes.Recipe)}
        lists = (options.DATA_SETS_ONLY, options.TABLES_ONLY, options.RUN_ONLY)
        assert known >= resolved.union(options.PARAMETERS, *lists)
        assert not resolved & {*options.TABLES_ONLY}
        assert known == resolved.union(*lists)

    def test_no_hidden_layer(self):
        assert recipes.resolve("moons", "none").layers == recipes.resolve("moons", "").layers == ()
        run("train", "moons", "--layers", "", "--epochs", 1)

    @pytest.mark.slow
    def test_the_seed_decides_everything(self, here):
        for seed, out in ((1, "a"), (1, "b"), (2, "c")):
            run("train", "spirals", *QUICK, "--seed", seed, "--out", out, "--quiet")
        a, b, c = (cr.load(here / out / "model.safetensors").theta for out in "abc")
        assert (a == b).all()
        assert (a != c).any()
        assert (
            config(here / "a")["test_sha256"] == config(here / "b")["test_sha256"] != config(here / "c")["test_sha256"]
        )

    def test_training_never_sees_the_test_part(self):
        rows, test = data.load("digits", {}, seed=5)
        whole = DATASETS["digits"]()
        assert len(rows) + len(test) == len(whole)
        assert sorted(map(bytes, np.concatenate([rows.X, test.X]))) == sorted(map(bytes, whole.X))
        share = np.bincount(test.t) / np.bincount(whole.t)
        assert abs(share - 0.2).max() < 0.01  # stratified

    def test_early_stopping_says_so(self, here):
        result = run("train", "moons", "--epochs", 200, "--patience", 1, "--schedule", "constant")
        assert "stopped: val_loss has not improved" in result.output
        written = config(here / "runs" / "moons")["results"]
        assert written["epochs"] < 200
        assert "val_loss" in written["stopped"]

    def test_the_history_is_complete(self, moons):
        with (moons / "history.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [int(row["epoch"]) for row in rows] == list(range(1, 11))
        assert {"loss", "val_loss", "val_accuracy", "learning_rate", "seconds"} <= rows[0].keys()

    def test_quiet_prints_two_lines(self):
        assert len(run("train", "moons", *QUICK, "--quiet").output.splitlines()) == 2

    def test_without_mistakes_there_is_no_picture_of_them(self, here, monkeypatch):
        X = np.eye(4, dtype="float32")[np.arange(80) % 2]
        monkeypatch.setitem(DATASETS, "digits", lambda: Dataset("digits", X, np.arange(80) % 2, ("a", "b"), (2, 2)))
        run("train", "digits", "--epochs", 30, "--batch-size", 8, "--quiet")
        assert config(here / "runs" / "digits")["results"]["accuracy"] == 1
        assert names(here / "runs" / "digits") == FILES | {"weights.png"}


class TestBadOptions:
    @pytest.mark.few(9)
    @pytest.mark.parametrize(
        ("arguments", "match"),
        [
            (["digit"], "Did you mean 'digits'"),
            (["moons", "--layers", "8,x"], '--layers: expected sizes .* got "8,x"'),
            (["moons", "--layers", "0"], '--layers: expected sizes .* got "0"'),
            (["moons", "--activation", "rleu"], "unknown activation 'rleu'. Did you mean 'ReLU'"),
            (["moons", "--activation", "dense"], "unknown activation 'dense'"),
            (["moons", "--optimizer", "adm"], "Did you mean 'Adam'"),
            (["moons", "--schedule", "cosin"], "Did you mean 'cosine'"),
            (["moons", "--dropout", "1"], r"--dropout: expected a number in \[0, 1\), got 1\.0"),
            (["moons", "--l1", "-1"], r"--l1: .* got -1\.0"),
            (["moons", "--l2", "nan"], "--l2: .* got nan"),
            (["moons", "--max-norm", "-1"], r"--max-norm: .* got -1\.0"),
            (["moons", "--clip-norm", "-1"], r"--clip-norm: .* got -1\.0"),
            (["moons", "--learning-rate", "-1"], r"--learning-rate: .* got -1\.0"),
            (["moons", "--epochs", "0"], "--epochs: .* got 0"),
            (["moons", "--batch-size", "0"], "--batch-size: .* got 0"),
            (["moons", "--batch-size", "701"], "at most the 700 rows"),
            (["moons", "--patience", "-1"], "--patience: .* got -1"),
            (["moons", "--label-smoothing", "1"], r"--label-smoothing: .* got 1\.0"),
            (["moons", "--warm-up", "60"], "--warm-up: expected fewer than the 60 epochs"),
            (["moons", "--warm-up", "-1"], r"--warm-up: .* got -1\.0"),
            (["moons", "--seed", "-1"], "--seed: .* got -1"),
            (["moons", "--seed", str(2**32)], "--seed: expected a whole number from 0 to 4294967295"),
            (["moons", "--data", "."], "--data: only mnist"),
            (["moons", "--drop", "x"], "--drop applies only to tables, and moons is not a table"),
            (["moons", "--class-weight", "balanced"], "--class-weight .* moons is not a table"),
            (["moons", "--stream"], "--stream .* moons is not a table"),
            (["mnist", "--data", "nowhere"], "nowhere"),
        ],
    )
    def test_is_refused_before_anything_is_printed_or_made(self, arguments, match, here):
        refused("train", *arguments, match=match)
        assert run("train", *arguments, status=2).stdout == ""
        assert list(here.iterdir()) == []

    def test_words_for_numbers_are_a_usage_error(self):
        assert (
            "'--epochs': expected a whole number, such as 10, got"
            in run("train", "moons", "--epochs", "ten", status=2).stderr
        )
        assert (
            "'--dropout': expected a number, such as 0.5, got '0,2'."
            in run("train", "moons", "--dropout", "0,2", status=2).stderr
        )

    def test_divergence_is_one_message_and_leaves_nothing(self, here):
        arguments = ["--optimizer", "sgd", "--activation", "relu", "--learning-rate", "1e30", "--out", "a/b"]
        refused("train", "moons", *arguments, match="diverged.*--learning-rate", status=1)
        assert list(here.iterdir()) == []

    def test_divergence_leaves_an_earlier_run_alone(self, copy):
        before = (copy / "config.json").read_bytes(), (copy / "model.safetensors").read_bytes()
        arguments = ["--optimizer", "sgd", "--activation", "relu", "--learning-rate", "1e30", "--out", copy]
        refused("train", "moons", *arguments, "--overwrite", match="diverged", status=1)
        assert before == ((copy / "config.json").read_bytes(), (copy / "model.safetensors").read_bytes())

    @pytest.mark.parametrize(("rate", "usual"), [("1e-9", "0.1"), ("1e-12", "0.1")])
    def test_advice_names_the_option(self, here, rate, usual):
        result = run("train", "moons", "--optimizer", "sgd", "--learning-rate", rate, "--epochs", "4", "--quiet")
        assert result.stderr.startswith("Warning: ")
        assert f"Try --learning-rate {usual}" in result.stderr
        assert "SGD(" not in result.stderr
        assert "lr_range_test" not in result.stderr

    def test_missing_packages_are_named_before_training(self, here, monkeypatch):
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        refused("train", "moons", match=r'pip install -e "\.\[cli\]"', status=1)
        assert list(here.iterdir()) == []


class TestFolder:
    @pytest.mark.slow
    def test_runs_are_numbered(self, here):
        for _ in range(3):
            run("train", "moons", *QUICK, "--quiet")
        assert names(here / "runs") == {"moons", "moons-2", "moons-3"}

    def test_a_folder_with_something_in_it_is_refused(self, here):
        (here / "mine").mkdir()
        (here / "mine" / "notes.txt").write_text("keep")
        refused("train", "moons", "--out", "mine", match="mine is not empty.*--overwrite")
        assert names(here / "mine") == {"notes.txt"}

    def test_overwrite_replaces_our_files_only(self, here):
        (here / "mine").mkdir()
        (here / "mine" / "notes.txt").write_text("keep")
        (here / "mine" / "mistakes.png").write_text("of an earlier run")
        run("train", "moons", *QUICK, "--out", "mine", "--overwrite", "--quiet")
        assert names(here / "mine") == FILES | {"boundary.png", "notes.txt"}
        assert (here / "mine" / "notes.txt").read_text() == "keep"

    @pytest.mark.slow
    def test_overwrite_without_out_replaces_the_first_run(self, here):
        run("train", "moons", *QUICK, "--quiet")
        run("train", "moons", *QUICK, "--quiet", "--overwrite", "--seed", 1)
        assert names(here / "runs") == {"moons"}
        assert config(here / "runs" / "moons")["seed"] == 1

    def test_an_empty_folder_is_used(self, here):
        (here / "empty").mkdir()
        run("train", "moons", *QUICK, "--out", "empty", "--quiet")
        assert "config.json" in names(here / "empty")

    @pytest.mark.parametrize("out", ["file", "file/inside", "file/deep/inside"])
    def test_a_file_in_the_way_is_refused(self, out, here):
        (here / "file").write_text("keep")
        refused("train", "moons", "--out", out, match="^Error: file is a file, but a folder is needed")
        assert (here / "file").read_text() == "keep"

    def test_a_file_called_runs_is_refused(self, here):
        (here / "runs").write_text("keep")
        refused("train", "moons", match="runs is a file")

    def test_a_folder_where_a_file_goes_is_refused(self, here):
        (here / "out" / "model.safetensors").mkdir(parents=True)
        refused(
            "train", "moons", "--out", "out", "--overwrite", match="cannot write .*model.safetensors: it is a folder"
        )

    def test_a_folder_that_cannot_be_written_is_refused(self, here, monkeypatch):
        def no(**kwargs):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("tempfile.TemporaryFile", no)
        refused("train", "moons", "--out", "new/folder", match="cannot write to the folder .*Permission denied")
        assert list(here.iterdir()) == []

    def test_a_file_that_cannot_be_finished_is_not_there(self, here):
        def write():
            with writing(here / "a.txt") as file:
                file.write(b"half")
                raise OSError("the disk is full")

        with pytest.raises(OSError, match="full"):
            write()
        assert list(here.iterdir()) == []

    def test_a_run_that_cannot_be_saved_leaves_the_one_before_it(self, copy, monkeypatch):
        """All is written before the first file is replaced."""

        def full(*args, **kwargs):
            raise OSError("the disk is full")

        before = {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()}
        monkeypatch.setattr("chainrule.training.history.History.to_csv", full)
        refused("train", "moons", *QUICK, "--out", copy, "--overwrite", match="full")
        assert {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()} == before
        run("evaluate", copy)


class TestResume:
    """A run that was killed leaves a folder from which it goes on."""

    OPTIONS = ("--epochs", "4", "--layers", "8", "--optimizer", "momentum", "--dropout", "0.1", "--patience", "3")

    @pytest.fixture
    def killed(self, here, monkeypatch):
        """A run that ended after its third epoch without another word."""

        class Killed(BaseException):
            pass

        def stop(self, run):
            if run.epoch == 3:
                on_epoch(self, run)
                raise Killed

        on_epoch = Checkpoint.on_epoch
        with monkeypatch.context() as patch:
            patch.setattr(Checkpoint, "on_epoch", lambda self, run: stop(self, run) or on_epoch(self, run))
            patch.setattr(resuming, "EVERY", timedelta(0))
            with pytest.raises(Killed):
                run("train", "moons", *self.OPTIONS, "--out", "killed", "--seed", "5")
        assert names(here / "killed") == {"checkpoints"}
        assert "run.json" in names(here / "killed" / "checkpoints")
        return here / "killed"

    def test_it_ends_as_it_would_have_ended(self, killed, here):
        result = run("train", "--resume", killed)
        run("train", "moons", *self.OPTIONS, "--out", "whole", "--seed", "5")
        for name in ("model.safetensors", "boundary.png"):
            assert (killed / name).read_bytes() == (here / "whole" / name).read_bytes()
        assert config(killed)["results"]["accuracy"] == config(here / "whole")["results"]["accuracy"]
        assert names(killed) == names(here / "whole")  # with checkpoints no more
        assert re.findall(r"^epoch (\d)/4", result.stdout, re.MULTILINE) == ["4"]

    @pytest.mark.slow
    def test_the_same_options_may_be_given_again(self, killed):
        run("train", "moons", *self.OPTIONS, "--seed", "5", "--resume", killed, "--quiet")

    def test_more_epochs(self, killed):
        run("train", "--epochs", "6", "--resume", killed, "--quiet")
        assert config(killed)["results"]["epochs"] > 4

    @pytest.mark.few(3)
    @pytest.mark.parametrize(
        ("arguments", "match"),
        [
            (["circles"], "DATASET: the run in .*killed was started with moons, got circles"),
            (["--layers", "9"], r"--layers: .* started with 8, got 9"),
            (["--seed", "4"], "--seed"),
            (["--epochs", "3"], "--epochs: .* started with 4, got 3"),
            (["--batch-size", "9"], "--batch-size"),
            (["--optimizer", "adam"], "--learning-rate|--optimizer"),
            (["--out", "other"], "--out does not go with --resume"),
            (["--overwrite"], "--overwrite does not go with --resume"),
        ],
    )
    def test_other_options_are_refused(self, arguments, match, killed):
        refused("train", *arguments, "--resume", killed, match=match)

    @pytest.mark.few(3)
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{}",
            "[]",
            '{"dataset": 1, "arguments": {}, "options": {"layers": 3}}',
            '{"dataset": NaN}',
            '{"dataset": ' + 9999 * "9" + "}",
            '{"kind": "song", "source": "moons", "options": {}}',
            '{"kind": "data set", "source": "moons", "options": {"epochs": 3}, "arguments": {}, "command": ""}',
        ],
    )
    def test_a_damaged_plan_is_refused(self, text, killed):
        (killed / "checkpoints" / "run.json").write_text(text)
        refused("train", "--resume", killed, match=r"run\.json is corrupt")

    @pytest.mark.slow
    def test_a_plan_of_version_0_1_is_resumed(self, killed, here):
        path = killed / "checkpoints" / "run.json"
        plan = json.loads(path.read_text())
        assert (plan["kind"], plan["source"], plan["options"]["layers"]) == ("data set", "moons", "8")
        options = plan["options"] | {"layers": [8]}
        path.write_text(json.dumps({"dataset": "moons", "arguments": plan["arguments"], "options": options}))
        run("train", "--resume", killed, "--quiet")
        run("train", "moons", *self.OPTIONS, "--out", "whole", "--seed", "5", "--quiet")
        models = [(here / name / "model.safetensors").read_bytes() for name in ("killed", "whole")]
        assert models[0] == models[1]

    @pytest.mark.slow
    def test_a_damaged_checkpoint_is_named(self, killed):
        (killed / "checkpoints" / "checkpoint-000003.safetensors").write_bytes(b"no")
        result = run("train", "--resume", killed)
        assert re.match(r"Warning: .*checkpoint-000003\.safetensors.* is used", result.stderr)
        assert result.stderr.count("\n") == 1

    def test_a_run_that_has_ended(self, here):
        run("train", "moons", *QUICK, "--quiet")
        refused("train", "--resume", "runs/moons", match="is complete: evaluate it with chainrule evaluate")

    def test_a_folder_that_is_none(self, here):
        refused("train", "--resume", "nowhere", match="nowhere is not a folder")
        refused("train", "--resume", here, match=r"left no checkpoints/run\.json")

    def test_without_data_set_and_folder(self):
        assert "DATASET" in run("train", status=2).stderr

    def test_overwrite_takes_away_what_was_left(self, killed):
        run("train", "moons", *QUICK, "--out", killed, "--overwrite", "--quiet")
        assert names(killed) == FILES | {"boundary.png"}

    @pytest.mark.slow
    @pytest.mark.skipif(os.name != "posix", reason="sends a signal")
    def test_killed_in_earnest(self, here):
        command = [*COMMAND, "train", "moons", "--epochs", "400", "--out", "killed"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                if line.startswith("epoch 9/"):
                    break
            process.kill()
        assert process.returncode == -signal.SIGKILL
        run("train", "--resume", "killed", "--quiet")
        run("train", "moons", "--epochs", "400", "--out", "whole", "--quiet")
        assert (here / "killed" / "model.safetensors").read_bytes() == (
            here / "whole" / "model.safetensors"
        ).read_bytes()


class TestEvaluate:
    def test_it_gives_what_training_gave(self, moons):
        result = run("evaluate", moons)
        assert f"accuracy {config(moons)['results']['accuracy']:.4f}: " in result.output
        assert "class  precision  recall     F1  support" in result.output
        assert result.stderr == ""

    def test_another_data_set(self, moons):
        assert accuracy(run("evaluate", moons, "circles").output)
        assert run("evaluate", moons, "moons").output == run("evaluate", moons).output

    def test_data_that_do_not_fit_are_refused(self, moons):
        refused("evaluate", moons, "spirals", match="spirals has 3 classes.*moons, which has 2")
        refused("evaluate", moons, "moon", match="Did you mean 'moons'")
        refused("evaluate", moons, "--data", ".", match="only mnist")

    def test_other_held_out_rows_are_noticed(self, copy):
        changed = config(copy) | {"test_sha256": "0" * 64}
        (copy / "config.json").write_text(json.dumps(changed))
        assert "differ from those held out during training" in run("evaluate", copy).stderr

    def test_folders_that_are_none_are_refused(self, here):
        refused("evaluate", "nowhere", match="nowhere does not exist")
        (here / "empty").mkdir()
        refused("evaluate", "empty", match=r"no config\.json in empty")
        (here / "file").write_text("")
        refused("evaluate", "file", match="is a file")

    @pytest.mark.few(3)
    @pytest.mark.parametrize(
        ("content", "match"),
        [
            (b"", "is corrupt: invalid JSON"),
            (b"{", "is corrupt: invalid JSON"),
            (b"\xff\xfe\x00", "is corrupt: invalid JSON"),
            (b"[" * 100_000, "is corrupt: invalid JSON"),
            (b"[1, 2]", "was not written by chainrule train"),
            (b'{"name": "x"}', "was not written by chainrule train"),
            (b'{"format": 99}', "format 99.*Install a newer chainrule"),
            (b"[" + b"1," * 2**20 + b"1]", "too large"),
        ],
    )
    def test_a_damaged_configuration_is_refused(self, content, match, copy):
        (copy / "config.json").write_bytes(content)
        refused("evaluate", copy, match=match)
        refused("predict", copy, "moons", match=match)

    @pytest.mark.few(7)
    @pytest.mark.parametrize(
        ("changes", "match"),
        [
            ({"dataset": 3}, "dataset: expected a name, got 3"),
            ({"dataset": "mons"}, "Did you mean 'moons'"),
            ({"dataset": "os.system"}, "unknown data set"),
            ({"seed": -1}, "seed"),
            ({"seed": True}, "seed"),
            ({"test": 1.5}, "test: expected a number between 0 and 1, got 1.5"),
            ({"test": float("nan")}, "test"),
            ({"classes": "ab"}, "classes"),
            ({"classes": ["a"]}, "classes"),
            ({"classes": ["a", "b", "c"]}, "2 outputs, but config.json lists 3"),
            ({"image_shape": [0, 1]}, "image_shape"),
            ({"input_range": [1]}, "input_range"),
            ({"arguments": {"rows": [1]}}, "arguments"),
            ({"arguments": {"command": "rm"}}, "arguments"),
            ({"arguments": {"folder": "x"}}, "folder"),
            ({"arguments": {"rows": -5}}, "rows must be"),
            ({"arguments": {"rows": 10**12}}, "rows: expected a smaller number"),
            ({"arguments": {"noise": 10**400}}, "noise: expected a smaller number"),
            ({"input_range": [0, 10**400]}, "input_range"),
            ({"test_sha256": None}, "test_sha256"),
        ],
    )
    def test_every_field_is_checked(self, changes, match, copy):
        (copy / "config.json").write_text(json.dumps(config(copy) | changes))
        refused("evaluate", copy, match=match)

    def test_a_damaged_or_missing_model_is_refused(self, copy):
        (copy / "model.safetensors").write_bytes(b"\x80junk")
        refused("evaluate", copy, match="it is a pickle.*a network saved by chainrule was expected")
        (copy / "model.safetensors").unlink()
        refused("evaluate", copy, match="no such file")


class TestPredict:
    def rows(self, text):
        return list(csv.reader(text.splitlines()))

    def test_a_data_set_gives_its_held_out_rows(self, moons):
        header, *rows = self.rows(run("predict", moons, "moons").stdout)
        assert header == ["label", "p_upper", "p_lower"]
        written = config(moons)
        test = data.held_out("moons", written["arguments"], written["seed"])
        right = sum(row[0] == test.classes[t] for row, t in zip(rows, test.t, strict=True))
        assert right == written["results"]["right"]
        assert [float(row[1]) + float(row[2]) for row in rows] == pytest.approx([1] * 200, abs=1e-5)

    @pytest.mark.parametrize("kind", ["csv", "header.csv", "npy", "npz", "-"])
    def test_every_kind_of_input_gives_the_same(self, kind, moons, here):
        X = np.array([[0.0, 1.0], [1.0, -0.5], [0.5, 0.25]])
        text = "".join(f"{a},{b}\n" for a, b in X)
        match kind:
            case "csv" | "-":
                (here / "x.csv").write_text(text)
            case "header.csv":
                (here / "x.header.csv").write_text("\ufeff\r\nfirst,second\r\n" + text, encoding="utf-8")
            case "npy":
                np.save(here / "x.npy", X)
            case "npz":
                np.savez(here / "x.npz", X=X, other=np.ones(3))
        result = run("predict", moons, "-" if kind == "-" else f"x.{kind}", input=text if kind == "-" else None)
        p = cr.load(moons / "model.safetensors").predict(X)
        got = self.rows(result.stdout)
        assert [row[0] for row in got[1:]] == [["upper", "lower"][i] for i in p.argmax(axis=1)]
        np.testing.assert_allclose(np.array([row[1:] for row in got[1:]], float), p, rtol=1e-5)

    @pytest.mark.slow
    def test_images_need_not_be_flattened(self, here):
        run("train", "digits", *QUICK, "--quiet")
        X = np.random.default_rng(0).random((3, 8, 8))
        np.save(here / "square.npy", X)
        np.save(here / "flat.npy", X.reshape(3, 64))
        square, flat = (run("predict", "runs/digits", f"{name}.npy").stdout for name in ("square", "flat"))
        assert square == flat
        np.save(here / "bytes.npy", (X * 16).astype(np.uint8))
        assert "but training inputs ranged from 0 to 1" in run("predict", "runs/digits", "bytes.npy").stderr

    def test_out_writes_a_file_and_replaces_none(self, moons, here):
        printed = run("predict", moons, "moons").stdout
        assert run("predict", moons, "moons", "--out", "p.csv").stdout == ""
        assert (here / "p.csv").read_text(encoding="utf-8") == printed
        (here / "p.csv").write_text("mine")
        refused("predict", moons, "moons", "--out", "p.csv", match="p.csv already exists.*--overwrite")
        assert (here / "p.csv").read_text() == "mine"
        run("predict", moons, "moons", "--out", "p.csv", "--overwrite")
        assert (here / "p.csv").read_text(encoding="utf-8") == printed

    def test_out_must_have_a_place(self, moons, here):
        refused("predict", moons, "moons", "--out", ".", match="is a folder")
        refused("predict", moons, "moons", "--out", "no/p.csv", match="the folder no does not exist")

    @pytest.mark.parametrize(
        ("text", "match"),
        [
            ("", "x.csv: expected rows of numbers, got nothing"),
            ("\n\n", "got nothing"),
            ("x,y\n", "only a header"),
            ("x,y\n1,2\n3,a\n", "x.csv, line 3, column 2: expected a number, got 'a'"),
            ("1,2\n3,\n", "line 2, column 2: expected a number, got ''"),
            ("1,2\n\n3,4,5\n", "line 3: expected 2 columns as in the lines before, got 3"),
            ("1;2\n3;4\n", "line 2, column 1: expected a number, got '3;4'"),
            ("1,2,3\n", "expected 2 features, got 3"),
            ("1,nan\n", "expected finite numbers, got nan in row 0, column 1"),
            ("1,inf\n", "expected finite numbers"),
        ],
    )
    def test_csv_that_is_no_table_of_numbers_is_refused(self, text, match, moons, here):
        (here / "x.csv").write_text(text)
        refused("predict", moons, "x.csv", match=match)

    def test_csv_in_other_bytes_is_refused(self, moons, here):
        (here / "x.csv").write_bytes(b"\xff\xfe1\x00")
        refused("predict", moons, "x.csv", match="UTF-8")

    @pytest.mark.few(3)
    @pytest.mark.parametrize("name", ["x.npy", "x.npz"])
    @pytest.mark.parametrize("content", [b"", b"junk", b"\x80\x04pickle", b"PK\x03\x04junk"])
    def test_damaged_arrays_are_refused(self, name, content, moons, here):
        (here / name).write_bytes(content)
        refused("predict", moons, name, match=f"{name} cannot be read as a NumPy file")

    def test_arrays_of_other_things_are_refused(self, moons, here):
        np.save(here / "objects.npy", np.array([{}, 1], dtype=object))
        refused("predict", moons, "objects.npy", match="Python objects")
        np.save(here / "words.npy", np.array([["a", "b"]]))
        refused("predict", moons, "words.npy", match="expected numbers, got an array of dtype <U1")
        np.save(here / "one.npy", np.zeros(2))
        refused("predict", moons, "one.npy", match="batch of one")
        np.savez(here / "none.npz")
        refused("predict", moons, "none.npz", match="no array")

    def test_files_that_are_none_are_refused(self, moons, here):
        refused("predict", moons, "x.csv", match="x.csv does not exist")
        refused("predict", moons, "mons", match="Did you mean 'moons'")
        refused("predict", moons, ".", match="is a folder")
        (here / "x.txt").write_text("1,2")
        refused("predict", moons, "x.txt", match=r"expected a \.csv, \.npy or \.npz file")
        refused("predict", moons, "digits", match="expected 2 features, got 64")

    def test_options_for_tables_are_refused(self, moons):
        for option in (["--interval", "0.9"], ["--coerce"], ["--delimiter", ";"], ["--decimal", ","]):
            refused("predict", moons, "moons", *option, match=f"{option[0]} applies only to runs on tables")

    def test_numbers_of_every_spelling(self):
        np.testing.assert_array_equal(reading.parse_csv('"1", -2e3\n3,.5', "x"), [[1, -2000], [3, 0.5]])


class TestTable:
    def test_it_has_the_numbers_of_scikit_learn(self):
        from sklearn.metrics import classification_report  # noqa: PLC0415

        rng = np.random.default_rng(0)
        t, labels = rng.integers(0, 3, 100), rng.integers(0, 3, 100)
        theirs = classification_report(t, labels, output_dict=True, digits=3)
        rows = [line.split() for line in report.table(t, labels, ["0", "1", "2"]).splitlines()[1:]]
        for name, *numbers in rows:
            expected = theirs["macro avg" if name == "mean" else name]
            assert [float(n) for n in numbers] == pytest.approx(
                [expected[key] for key in ("precision", "recall", "f1-score", "support")], abs=6e-4
            )

    def test_a_class_that_never_comes_is_zero_without_a_warning(self):
        assert (
            report.table(np.array([0, 0]), np.array([0, 0]), ["a", "b"]).splitlines()[2].split()[1:3] == ["0.000"] * 2
        )


class TestProcess:
    def test_help_names_the_commands(self):
        done = subprocess.run([*COMMAND, "--help"], check=True, capture_output=True, text=True)
        assert all(command in done.stdout for command in ("train", "evaluate", "predict"))

    @pytest.mark.few(4)
    @pytest.mark.parametrize("name", COMMANDS)
    def test_help_wraps_each_paragraph_as_a_whole(self, name):
        """The help page keeps a line break within a paragraph, in the middle of its line."""
        paragraphs = inspect.getdoc(COMMANDS[name].callback).split("\n\n")
        assert [text for text in paragraphs if "\n" in text] == []
        assert "[[" not in run(*name.split(), "--help").stdout

    def test_help_loads_nothing_heavy(self):
        code = (
            "import sys\nfrom chainrule.cli.app import app\n"
            "heavy = {'sklearn', 'matplotlib', 'scipy', 'pooch'} & sys.modules.keys()\n"
            "assert not heavy, heavy"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_version(self):
        assert run("--version").stdout == f"chainrule {cr.__version__}\n"

    @pytest.mark.parametrize("package", ["typer", "rich"])
    def test_without_its_packages_it_names_the_command(self, package):
        code = f"import sys; sys.modules['{package}'] = None\nfrom chainrule.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
        assert done.returncode == 1
        assert 'pip install -e ".[cli]"' in done.stderr
        assert "Traceback" not in done.stderr

    def test_serve_needs_none_of_its_packages(self):
        code = (
            "import sys; sys.modules['rich'] = None; sys.argv = ['chainrule', 'serve', 'nowhere']\n"
            "from chainrule.cli import main; main()"
        )
        done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "nowhere: no such file" in done.stderr

    @pytest.mark.slow
    def test_a_terminal_without_unicode_gets_no_traceback(self):
        arguments = ["train", "moons", "--optimizer", "sgd", "--activation", "relu", "--learning-rate", "1e30"]
        environment = os.environ | {"PYTHONIOENCODING": "ascii"}
        done = subprocess.run([*COMMAND, *arguments], check=False, capture_output=True, text=True, env=environment)
        assert done.returncode == 1
        assert "diverged" in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.slow
    def test_a_closed_pipe_is_no_error(self, moons):
        command = f"'{sys.executable}' -m chainrule predict '{moons}' moons | head -1"
        done = subprocess.run(command, shell=True, check=False, capture_output=True, text=True)
        assert done.stdout == "label,p_upper,p_lower\n"
        assert re.sub(r"chainrule: compiling.*\n", "", done.stderr) == ""

    @pytest.mark.slow
    @pytest.mark.skipif(os.name != "posix", reason="sends a signal")
    def test_ctrl_c_keeps_what_was_learned(self, here):
        command = [*COMMAND, "train", "moons", "--epochs", "100000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                if line.startswith("epoch 3/"):
                    break
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "interrupted" in out
        assert "evaluating and saving the network trained so far" in err
        assert "To resume: chainrule train --resume runs/moons" in err
        assert names(here / "runs" / "moons") == FILES | {"boundary.png", "checkpoints"}
        assert config(here / "runs" / "moons")["results"]["stopped"].startswith("interrupted")

    @pytest.mark.skipif(os.name != "posix", reason="sends a signal")
    def test_ctrl_c_after_training_loses_nothing(self, here, monkeypatch):
        measure = report.measure

        def interrupted(*arguments):
            signal.raise_signal(signal.SIGINT)
            return measure(*arguments)

        monkeypatch.setattr(report, "measure", interrupted)
        run("train", "moons", *QUICK, "--quiet")
        assert names(here / "runs" / "moons") == FILES | {"boundary.png"}

    @pytest.mark.slow
    @pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
    def test_a_terminal_gets_a_live_bar(self, here):
        import pty  # noqa: PLC0415

        parent, child = pty.openpty()
        environment = os.environ | {"COLUMNS": "80", "TERM": "xterm"}
        command = [*COMMAND, "train", "moons", "--epochs", "40"]
        with subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=environment) as process:
            os.close(child)
            received = bytearray()
            try:
                while block := os.read(parent, 4096):
                    received += block
            except OSError:  # the other end is closed
                pass
        os.close(parent)
        assert process.returncode == 0
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", received.decode())
        bar = [line for line in re.split(r"[\r\n]+", text) if line.startswith("epoch ")]
        assert re.fullmatch(r"epoch 40/40 ━+ loss \d\.\d+ validation [\d.]+% [\d,]+ samples/s in \d:\d\d *", bar[-1])
        assert all(len(line) <= 80 for line in bar)
        assert any(line.rstrip().endswith("left") for line in bar)
        assert "val_loss" not in text  # no plain lines beside it
