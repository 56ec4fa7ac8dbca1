"""Model files that somebody broke, and saving that something broke.

A broken file loads to a network that works, or raises one documented error: within a second, in little memory, without
importing, executing or writing anything. A save that fails leaves the old file whole. The full number of mutations runs
with CHAINRULE_HARD=1.
"""

import contextlib
import errno
import json
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors import deserialize

import chainrule as cr
from chainrule.files import container as _files
from chainrule.training import checkpoints

FILES = Path(__file__).parents[1] / "files"
STORED = sorted([*FILES.glob("*/*.safetensors"), *FILES.glob("*/checkpoints/*.safetensors")])
HARD = os.environ.get("CHAINRULE_HARD", "") not in ("", "0")
MUTATIONS = 20_000 if HARD else 280
MEMORY = 200 * 2**20

# ---------------------------------------------------------------- mutations

ODD = [None, True, False, -1, 0, 0.5, 1e308, 2**31, 2**63, 10**12, 10**400, "", "x", "../..", "os.system", "é" * 1000,
       "\ud800", "\x1b[2J", [], {}, [[]], [0] * 1000, {"type": "Dense", "units": 10**12}, {"type": "Network"},
       {"type": "WarmUp", "epochs": 1, "then": {"type": "WarmUp"}}, {"float": "nan"}, {"Layer": {"type": "Tanh"}},
       {"Callback": {"type": "Progress", "file": 1}}, {"dict": [[[], []]]}, {"tuple": 3}, {"Optimizer": {}}]  # fmt: skip


def flip(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8, 64])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def flip_in_front(data, rng):
    return flip(data[:64], rng) + data[64:]


def cut(data, rng):
    return data[: rng.randrange(len(data))]


def cut_out(data, rng):
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.randrange(1, 100) :]


def duplicate(data, rng):
    start, length = rng.randrange(len(data)), rng.randrange(1, 400)
    part = data[start : start + length]
    return data[: start + length] + part * rng.choice([1, 2, 1000]) + data[start + length :]


def splice(data, rng):
    other = rng.choice(STORED).read_bytes()
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


def other_length(data, rng):
    length = rng.choice([0, 1, 2**21, 2**40, 2**63, 2**64 - 1, rng.randrange(len(data)), len(data)])
    return struct.pack("<Q", length) + data[8:]


def digits(data, rng):
    """Change a digit of the header: sizes, offsets and arguments, with all else as it was."""
    length = struct.unpack("<Q", data[:8])[0]
    places = [i for i in range(8, 8 + length) if 48 <= data[i] <= 57]
    data = bytearray(data)
    data[rng.choice(places)] = 48 + rng.randrange(10)
    return bytes(data)


def split(data):
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    return header, json.loads(header["__metadata__"]["chainrule"]), data[8 + length :]


def join(header, description, rest):
    header["__metadata__"]["chainrule"] = json.dumps(description)
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + rest


def places(value):
    """Return every (container, key) of nested JSON."""
    found = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += [(value, key), *places(inner)]
    return found


def change(tree, rng):
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        container, key = rng.choice(places(tree))
        what = rng.randrange(5)
        if what == 0 and isinstance(container, dict):
            container[rng.choice(["surprise", "type", "__class__", "é"])] = container.pop(key)
        elif what == 1:
            del container[key]
        elif what == 2:
            other, other_key = rng.choice(places(tree) or [(container, key)])
            container[key] = json.loads(json.dumps(other[other_key]))
        elif what == 3 and isinstance(container, list) and len(places(tree)) < 2000:
            container += container * rng.choice([1, 100])
        else:
            container[key] = json.loads(json.dumps(rng.choice(ODD)))
        if not places(tree):
            return


def change_header(data, rng):
    header, description, rest = split(data)
    metadata = header.pop("__metadata__")
    change(header, rng)
    return join({"__metadata__": metadata, **header}, description, rest)


def change_description(data, rng):
    header, description, rest = split(data)
    change(description, rng)
    return join(header, description, rest)


def change_arrays(data, rng):
    header, description, rest = split(data)
    return join(header, description, flip(rest, rng))


MUTATE = [flip, flip_in_front, cut, cut_out, duplicate, splice, other_length, digits, change_header, change_header,
          change_description, change_description, change_description, change_arrays]  # fmt: skip


def mutation(number):
    """Return the mutation of this number, of one of the stored files."""
    rng = random.Random(number)
    how = MUTATE[number % len(MUTATE)]
    file = rng.choice(STORED)
    return how(file.read_bytes(), rng), f"mutation {number}: {how.__name__} of {file.name}"


def in_another_process(code, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", f"import sys, os, numpy as np, chainrule as cr\n{code}", *map(str, arguments)],
        capture_output=True, text=True, check=False, **options,
    )  # fmt: skip


# ---------------------------------------------------------------- a process that loads them

FORBIDDEN = ("import", "exec", "compile", "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn",
             "socket.connect", "pickle.find_class", "marshal.loads", "ctypes.dlopen", "os.remove", "os.rename",
             "os.mkdir", "shutil.rmtree")  # fmt: skip


def load_all(first, last, folder, seen=None):
    """Load mutations first to last in this process; return how many were whole, and the slowest in seconds."""
    models = [
        cr.load,
        cr.files.networks.load,
        cr.MLPClassifier.load,
        cr.MLPRegressor.load,
        cr.files.networks.read_metadata,
    ]
    loaders = [*models, checkpoints.read]
    X = np.ones((3, 4))
    path = Path(folder) / "broken.safetensors"
    for file in STORED:  # all that is imported on first use is there before the watch begins
        for load in loaders:
            with contextlib.suppress(cr.ModelFileError):
                load(file)
    whole, slowest = 0, 0.0
    for number in range(first, last):
        data, what = mutation(number)
        path.write_bytes(data)
        modules = set(sys.modules)
        for load in (cr.load, checkpoints.read) if number % 4 else loaders:
            start = time.process_time()
            watch(seen, what)
            try:
                model = load(path)
            except cr.ModelFileError as error:
                model = None
                text = str(error)
                assert text.startswith(f"{path}"), f"{what}: {text}"
                assert "MemoryError" not in text, f"{what}: {text}"
                assert len(text) < 1000, f"{what}: {text}"
                assert text.isprintable(), f"{what}: {text!r}"
            finally:
                watch(seen, None)
            slowest = max(slowest, time.process_time() - start)
            if model is not None:  # what we take is a safetensors file for others, too
                deserialize(data)
            if hasattr(model, "predict"):
                inputs = getattr(model, "n_features_in_", None) or model.input_shape[0]
                with np.errstate(all="ignore"):
                    assert len(model.predict(X[:, :1].repeat(inputs, axis=1))) == 3, what
                    whole += load is cr.load
        assert set(sys.modules) == modules, f"{what}: imported {set(sys.modules) - modules}"
    return whole, slowest


def watch(seen, what):
    if seen is not None:
        seen["now"] = what


def main(first, last, folder):
    """What the subprocess does: memory bounded by the system, every suspicious event recorded by an audit hook."""
    seen = {"now": None, "events": []}

    def hook(event, arguments):
        writes = event == "open" and (
            isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        )
        if seen["now"] and (writes or event.startswith(FORBIDDEN)):
            seen["events"].append(f"{seen['now']}: {event} {arguments}")

    load_all(0, 0, folder)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    sys.addaudithook(hook)
    whole, slowest = load_all(first, last, folder, seen)
    print(json.dumps({"whole": whole, "slowest": slowest, "events": seen["events"][:5]}))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the bound on memory is Linux's")
def test_broken_files_are_refused_or_work(tmp_path):
    """Twenty processes in turn, so that one that dies says where."""
    step = max(200, MUTATIONS // 20)
    total, slowest = 0, 0.0
    for first in range(0, MUTATIONS, step):
        run = subprocess.run(
            [sys.executable, "-W", "error", __file__, str(first), str(first + step), str(tmp_path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr[-3000:]
        result = json.loads(run.stdout)
        assert not result["events"], result["events"]
        total, slowest = total + result["whole"], max(slowest, result["slowest"])
    print(f"{MUTATIONS} mutations: {total} loaded and predicted, the slowest took {slowest:.3f} s")
    assert slowest < 1
    assert 0 < total < MUTATIONS / 2, "mutations that change nothing, or nothing that loads"


def test_the_watch_sees_what_it_should(tmp_path):
    """A loader that imports, executes or writes something, or takes 300 MB, would be seen."""
    code = (
        "import runpy, sys; sys.argv = ['x']; m = runpy.run_path({file!r})\n"
        "import chainrule as cr\n"
        "from chainrule.files import networks, serving\n"
        "real = networks.read_network\n"
        "def bad(file, header):\n"
        "    if file.name.endswith('broken.safetensors'):\n"
        "        {act}\n"
        "    return real(file, header)\n"
        "serving.read_network = networks.read_network = bad\n"
        "m['main'](0, 60, {folder!r})\n"
    )
    for act, sign in (
        ("import this", "imported"),
        ("exec('1'); open('/dev/null', 'w').close()", '"events": ["mutation'),
        ("bytearray(300 * 2**20)", "MemoryError"),
    ):
        run = subprocess.run(
            [sys.executable, "-c", code.format(file=__file__, act=act, folder=str(tmp_path))],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert sign in run.stdout + run.stderr, (act, run.stdout, run.stderr[-2000:])


# ---------------------------------------------------------------- files made to be slow or large

LARGEST = _files.LARGEST_HEADER


def bombs():
    """Return files that ask for as much time or memory as a header of the largest size can."""
    header, description, rest = split((FILES / "0.1.0" / "classifier-words.safetensors").read_bytes())

    def plain(text):
        return struct.pack("<Q", len(text)) + text

    def fill(opening, unit, closing):
        return opening + unit * ((LARGEST - len(opening) - len(closing)) // len(unit)) + closing

    for name, unit in {
        "lists": b"[],",
        "objects": b"{},",
        "pairs": b'{"":0},',
        "numbers": b"1.5,",
        "texts": b'"a",',
    }.items():
        yield f"a header of {name}", plain(fill(b'{"a":[', unit, b"0]}"))
    yield "a header of names", plain(b"{" + b",".join(b'"%d":0' % i for i in range(150_000)) + b"}")
    tensor = b'{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    metadata = json.dumps(header["__metadata__"]).encode()
    many = b",".join(b'"%d":%s' % (i, tensor) for i in range(16_000))
    yield "a header of arrays", plain(b'{"__metadata__":' + metadata + b"," + many + b"}")
    yield "nothing but depth", plain(fill(b'{"a":', b"[", b""))
    yield "depth that ends", plain(b'{"a":' + b"[" * 45_000 + b"]" * 45_000 + b"}")
    yield "digits", plain(fill(b'{"a":', b"9", b"}"))
    layers = {
        "dense": {"type": "Dense", "units": 6},
        "dropout": {"type": "Dropout", "rate": 0.5},
        "tanh": {"type": "Tanh"},
    }
    for name, layer in layers.items():
        for count in (2000, 9000):
            changed = json.loads(json.dumps(description))
            changed["network"]["layers"] = [layer] * count
            yield f"{count} {name}", join(dict(header), changed, rest)
    for key, value in {
        "classes": [str(i) for i in range(60_000)],
        "dtype": "x" * 2_000_000,
        "target": [[]] * 40_000,
    }.items():
        changed = json.loads(json.dumps(description))
        changed["estimator"]["labels"][key] = value
        yield f"labels: {key}", join(dict(header), changed, rest)
    deep = {"type": "Constant"}
    for _ in range(300):
        deep = {"type": "WarmUp", "epochs": 1, "then": deep}
    changed = json.loads(json.dumps(description))
    changed["estimator"]["parameters"]["learning_rate"] = {"Schedule": deep}
    yield "warm-ups in warm-ups", join(dict(header), changed, rest)
    units = 10**9
    changed = json.loads(json.dumps(description))
    changed["network"]["layers"] = [{"type": "Dense", "units": units}] * 3
    yield "large layers", join(dict(header), changed, rest)


def test_files_made_to_be_slow_or_large(tmp_path):
    names = []
    for name, data in bombs():
        (tmp_path / f"{len(names)}.safetensors").write_bytes(data)
        names.append(name)
    code = """
import resource, time, warnings, pathlib, json
def used():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
for load in (cr.load, cr.MLPClassifier.load):
    try: load("nothing")
    except FileNotFoundError: pass
limit = used() + 200 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for i in range(int(sys.argv[2])):
    for load in (cr.load, cr.MLPClassifier.load):
        start = time.process_time()
        try: load(f"{sys.argv[1]}/{i}.safetensors"); text = "loaded"
        except cr.ModelFileError as error: text = str(error)
        print(json.dumps([i, time.process_time() - start, text]))
"""
    run = in_another_process(code, tmp_path, len(names))
    assert run.returncode == 0, run.stderr
    for line in run.stdout.splitlines():
        number, seconds, text = json.loads(line)
        print(f"{names[number]:22} {seconds:.3f} s  {text[-150:]}")
        assert seconds < 1, (names[number], seconds)
        assert "MemoryError" not in text, names[number]


# ---------------------------------------------------------------- saving that something breaks


def network(value):
    net = cr.Network(64, [cr.layers.Dense(64)], "squared_error", seed=0)
    net.theta[:] = value
    return net


@pytest.fixture
def path(tmp_path):
    cr.save(network(1), tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def is_whole(path, value=1):
    """Say that the file is the old one, and that nothing else was left in its folder."""
    np.testing.assert_array_equal(cr.load(path).theta, network(value).theta)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["write", "fsync", "replace"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_call_of_the_system_that_fails_leaves_the_old_file(path, monkeypatch, name, error):
    def fail(*arguments, **options):
        raise OSError(error, os.strerror(error))

    if name == "write":

        class Full:
            def __init__(self, file):
                self.file = file

            def __enter__(self):
                return self

            def __exit__(self, *_):
                self.file.close()

            def write(self, content):
                self.file.write(content[:100])
                fail()

        real = os.fdopen
        monkeypatch.setattr(_files.os, "fdopen", lambda *arguments: Full(real(*arguments)))
    elif name == "fsync":
        monkeypatch.setattr(_files.os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match=os.strerror(error)):
        cr.save(network(2), path, overwrite=True)
    monkeypatch.undo()
    is_whole(path)


def test_an_interruption_leaves_the_old_file(path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_files.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cr.save(network(2), path, overwrite=True)
    monkeypatch.undo()
    is_whole(path)


def test_a_folder_that_cannot_be_put_on_the_disk_is_no_failure(path, monkeypatch):
    real = os.fsync

    def fail(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(errno.EINVAL, "this file system cannot")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    cr.save(network(2), path, overwrite=True)
    is_whole(path, 2)


def test_the_order_of_what_is_put_on_the_disk(path, monkeypatch):
    """First the content, then the name, then the folder: a machine that stops at any time has a whole file."""
    done = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(descriptor):
        done.append("folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "content")
        real_fsync(descriptor)

    def replace(self, target):
        done.append("name")
        return real_replace(self, target)

    monkeypatch.setattr(_files.os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    cr.save(network(2), path, overwrite=True)
    assert done == ["content", "name", "folder"]


SAVE = """
net = cr.Network(64, [cr.layers.Dense(64)], "squared_error", seed=0)
net.theta[:] = 2
try:
    cr.save(net, sys.argv[1], overwrite=True)
except OSError as error:
    print(type(error).__name__, error)
"""


def test_a_full_disk_leaves_the_old_file(path):
    """A bound on the size of files is as good as a full disk: the write ends in the middle."""
    code = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n" + SAVE
    run = in_another_process(code, path)
    assert "File too large" in run.stdout, run
    is_whole(path)


def test_a_folder_in_which_one_may_not_write(other_user):
    folder, become = other_user
    path = folder / "model.safetensors"
    cr.save(network(1), path)
    become()
    with pytest.raises(PermissionError, match="no permission to write to the folder"):
        cr.save(network(2), path, overwrite=True)
    is_whole(path)


def test_a_process_that_is_killed_while_it_saves_leaves_a_whole_file(path):
    """SIGKILL at random moments of a loop of saves: at the path is always one of the networks, none half."""
    code = """
nets = []
for value in (3, 4):
    net = cr.Network(512, [cr.layers.Dense(512)], "squared_error", seed=0)
    net.theta[:] = value
    nets.append(net)
cr.save(nets[0], sys.argv[1], overwrite=True)
print("ready", flush=True)
while True:
    for net in nets:
        cr.save(net, sys.argv[1], overwrite=True)
"""
    rng = random.Random(0)
    found = set()
    for _ in range(40 if HARD else 3):
        process = subprocess.Popen(
            [sys.executable, "-c", f"import sys, chainrule as cr\n{code}", path], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "ready\n"
        for _ in range(3):  # a reader sees a whole file, too, while it is written
            cr.load(path)
        time.sleep(rng.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        theta = cr.load(path).theta
        assert theta.size == 512 * 513
        assert (theta == theta[0]).all()
        found.add(float(theta[0]))
    assert found <= {3.0, 4.0}
    parts = {file.name for file in path.parent.iterdir()} - {path.name}
    assert all(name.startswith(".chainrule-") and name.endswith(".part") for name in parts)


if __name__ == "__main__" and len(sys.argv) == 4:
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
