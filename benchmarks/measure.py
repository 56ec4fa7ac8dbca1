"""Contestants in separate processes that take turns; medians and ratios of their times."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.contestants import CONTESTANTS, SETTINGS, Contestant

ROOT = Path(__file__).parents[1]
SCALES = {"µs": 1e6, "ms": 1e3, "s": 1.0, "MiB": 1.0}
Answer = dict[str, Any]


class ContestantError(RuntimeError):
    """Raised when a contestant fails."""


@dataclass(frozen=True)
class Entry:
    """A contestant, its label in the table, and changes to its work. The label is the default for its name."""

    label: str
    name: str = ""
    work: Mapping[str, Any] = field(default_factory=dict)

    @property
    def contestant(self) -> Contestant:
        return CONTESTANTS[self.name or self.label]


@dataclass(frozen=True)
class Workload:
    """One row of a table: the work of all contestants, and how it is shown.

    ``do`` is the name of a function in the contestants' modules and ``work`` its arguments. ``quick`` replaces some of
    them with tiny ones, ``warm_up`` with shorter ones for the warm-up. The seconds are divided by ``per``: "steps",
    "epochs", "calls" or "images". ``settings`` replace those of the contestants: ``("1 thread",)`` is one thread for
    all. ``fresh`` starts a new process for every run. ``measure`` replaces the whole measurement.
    """

    name: str
    title: str
    unit: str
    entries: Sequence[Entry]
    do: str = ""
    work: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)
    warm_up: Mapping[str, Any] = field(default_factory=dict)
    per: str = ""
    settings: tuple[str, ...] = ()
    fresh: bool = False
    mnist: bool = False
    measure: Callable[[Workload, Pool], Result] | None = None

    def arguments(self, entry: Entry, *, quick: bool, warm_up: bool = False) -> dict[str, Any]:
        """Return the arguments for a contestant."""
        changed = {**(self.warm_up if warm_up else {}), **(self.quick if quick else {})}
        return {**self.work, **changed, **entry.work, **entry.contestant.work}


class Result:
    """Measurements by label: values in the workload's unit, the loss or accuracy reached, and remarks."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.values: dict[str, list[float]] = {}
        self.reached: dict[str, dict[str, float]] = {}
        self.remarks: dict[str, list[str]] = {}
        self.tried: dict[str, dict[str, float]] = {}  # warm-up seconds by setting
        self.left_out: dict[str, str] = {}
        self.failed: dict[str, str] = {}

    def add(self, label: str, answer: Answer) -> None:
        """Add one run."""
        scale = SCALES[self.workload.unit.split()[0]]
        self.values.setdefault(label, []).append(answer["seconds"] * scale / answer.get(self.workload.per, 1))
        self.reached[label] = answer["reached"]

    def remark(self, label: str, text: str) -> None:
        self.remarks.setdefault(label, []).append(text)

    def fail(self, label: str, error: Exception) -> None:
        self.failed[label] = str(error)
        self.values.pop(label, None)

    def medians(self, role: str | None = None) -> dict[str, float]:
        """Return the medians of all contestants, or of those with a role."""
        roles = {entry.label: entry.contestant.role for entry in self.workload.entries}
        return {x: statistics.median(v) for x, v in self.values.items() if role in (None, roles[x])}

    def ratios(self) -> dict[str, float]:
        """Return the ratios of each peer to chainrule, and of chainrule to the floor."""
        pairs = [(a, b) for a in self.medians("peer").items() for b in self.medians("ours").items()]
        pairs += [(a, b) for a in self.medians("ours").items() for b in self.medians("floor").items()]
        return {f"{a} / {b}": x / y for (a, x), (b, y) in pairs if y > 0}

    def as_dict(self, group: str) -> dict[str, Any]:
        """Return everything for ``--json``."""
        medians = self.medians()
        contestants = {
            label: {
                "median": medians[label],
                "runs": values,
                "reached": self.reached[label],
                "remarks": self.remarks.get(label, []),
                "tried": self.tried.get(label, {}),
            }
            for label, values in self.values.items()
        }
        return {
            "workload": self.workload.name,
            "group": group,
            "title": self.workload.title,
            "unit": self.workload.unit,
            "contestants": contestants,
            "ratios": self.ratios(),
            "left_out": self.left_out,
            "failed": self.failed,
        }


@dataclass
class Options:
    """Command-line options."""

    repeats: int = 5
    quick: bool = False
    contestants: Sequence[str] | None = None
    folder: Path = Path()
    say: Callable[[str], object] = str  # or print

    @property
    def pause(self) -> float:
        """Seconds between two runs, because threads spin for a while after their last work."""
        return 0.0 if self.quick else 0.2


class Worker:
    """A contestant's process; see ``worker.py``. Its stderr is kept in a log file."""

    def __init__(self, contestant: Contestant, setting: Mapping[str, str], folder: Path) -> None:
        folder = Path(tempfile.mkdtemp(dir=folder))
        self._log = (folder / "stderr").open("w+", encoding="utf-8", errors="replace")
        # A cache of earlier runs must not make torch.compile look faster at compiling.
        environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(folder), **contestant.environment, **setting}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", f"benchmarks.contestants.{contestant.module}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            text=True, encoding="utf-8", cwd=ROOT, env=environment,
        )  # fmt: skip
        self.import_seconds: float = self._answer()["import_seconds"]

    def ask(self, do: str, work: Mapping[str, Any]) -> Answer:
        """Send a request and return the answer."""
        with contextlib.suppress(OSError):  # the process has exited without an answer
            print(json.dumps({"do": do, "work": dict(work)}), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Answer:
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._log.seek(0)
            last = self._log.read().strip().splitlines()[-1:] or ["no message"]
            raise ContestantError(f"its process exited with status {self._process.returncode}: {last[0]}")
        answer = json.loads(line)
        if "error" in answer:
            raise ContestantError(answer["error"])
        return answer

    def close(self) -> None:
        """End the process."""
        try:
            self._process.stdin.close()
            self._process.wait(timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()


class Pool:
    """The running processes, by label and setting."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._workers: dict[tuple[str, str], Worker] = {}

    def worker(self, entry: Entry, setting: str = "") -> Worker:
        """Return the process of a contestant with one of its settings; start it if necessary."""
        key = entry.label, setting
        if key not in self._workers:
            self._workers[key] = Worker(entry.contestant, SETTINGS[setting], self.options.folder)
        return self._workers[key]

    def close(self, key: tuple[str, str] | None = None) -> None:
        """End one process, or all."""
        for each in [*self._workers] if key is None else [key]:
            if each in self._workers:
                self._workers.pop(each).close()

    def entries(self, result: Result) -> list[Entry]:
        """Return the contestants that take part, and record the others in the result."""
        chosen = []
        for entry in result.workload.entries:
            wanted, reason = self.options.contestants, entry.contestant.missing()
            if wanted is not None and (entry.name or entry.label) not in wanted:
                continue
            if reason:
                result.left_out[entry.label] = reason
            else:
                chosen.append(entry)
        return chosen


def measure(workload: Workload, pool: Pool) -> Result:
    """Measure a workload."""
    return (workload.measure or _in_workers)(workload, pool)


def in_turn(result: Result, runs: Mapping[str, Callable[[], Answer]], options: Options) -> Result:
    """Run the contestants in turns, for the given number of repeats."""
    for repeat in range(options.repeats):
        for label, run in runs.items():
            if label in result.failed:
                continue
            options.say(f"{result.workload.name}: {repeat + 1} of {options.repeats}, {label}")
            time.sleep(options.pause)
            try:
                result.add(label, run())
            except ContestantError as error:
                result.fail(label, error)
    return result


def _in_workers(workload: Workload, pool: Pool) -> Result:
    """Measure a function of the contestants' modules."""
    result, quick = Result(workload), pool.options.quick
    runs: dict[str, Callable[[], Answer]] = {}
    for entry in pool.entries(result):
        try:
            setting = _warm_up(workload, entry, pool, result)
        except ContestantError as error:
            result.fail(entry.label, error)
            continue
        work = workload.arguments(entry, quick=quick)
        runs[entry.label] = lambda e=entry, s=setting, w=work: _run(workload, e, s, w, pool)
    return in_turn(result, runs, pool.options)


def _run(workload: Workload, entry: Entry, setting: str, work: Mapping[str, Any], pool: Pool) -> Answer:
    if workload.fresh:
        pool.close((entry.label, setting))
    worker = pool.worker(entry, setting)
    answer = worker.ask(workload.do, work)
    if workload.fresh:
        answer["reached"]["import_seconds"] = worker.import_seconds
    return answer


def _warm_up(workload: Workload, entry: Entry, pool: Pool, result: Result) -> str:
    """Try all settings, return the fastest, and end the processes of the others."""
    contestant, tried, compiling = entry.contestant, {}, {}
    settings = workload.settings or (("",) if pool.options.quick else contestant.settings)
    work = workload.arguments(entry, quick=pool.options.quick, warm_up=True)
    again = 0 if workload.fresh else 3 if len(settings) > 1 else contestant.compiles
    for setting in settings:
        pool.options.say(f"{workload.name}: warm-up, {entry.label} {setting and f'({setting})'}")
        try:
            worker = pool.worker(entry, setting)
            first = second = worker.ask(workload.do, work)["seconds"]
            for i in range(again):
                second = min(worker.ask(workload.do, work)["seconds"], second)
                if second > 0.5 and i == 0:  # long enough to compare
                    break
        except ContestantError:
            pool.close((entry.label, setting))
            if setting == settings[-1] and not tried:
                raise
            continue
        tried[setting], compiling[setting] = second, first - second
    best = min(tried, key=lambda setting: tried[setting])
    for setting in settings:
        if setting != best:
            pool.close((entry.label, setting))
    if best:
        result.remark(entry.label, best)
        result.tried[entry.label] = tried
    if contestant.compiles and not workload.fresh:
        result.remark(entry.label, f"{compiling[best]:.1f} s of compilation not counted")
    return best
