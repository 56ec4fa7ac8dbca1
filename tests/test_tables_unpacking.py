"""Files of a few bytes that stand for gigabytes, and broken ones: each is refused in one sentence, and little is read."""

import base64
import contextlib
import gzip
import io
import json
import os
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

pytestmark = pytest.mark.slow

pl = pytest.importorskip("polars")

from typer.testing import CliRunner  # noqa: E402

from chainrule import ModelFileError  # noqa: E402
from chainrule.cli.app import app  # noqa: E402
from chainrule.cli.reading import read_rows  # noqa: E402
from chainrule.tables import read, unpacking  # noqa: E402
from chainrule.tables.schema import LARGEST, Column, Schema  # noqa: E402
from chainrule.tables.streaming.opening import open_table  # noqa: E402

PART = gzip.compress(b"1,2\n" * 2**22)  # 16 MiB in 16 kB


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """The limit is 16 MiB here, where it is 1 GiB otherwise: making bombs takes time, too."""
    monkeypatch.setattr(unpacking, "LEAST", 2**24)
    monkeypatch.delenv(unpacking.VARIABLE, raising=False)


def written(write, *args, **kwargs):
    file = io.BytesIO()
    write(file, *args, **kwargs)
    return file.getvalue()


def npy(descr, shape, data=b""):
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def archive(content, **options):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("x.npy", content)
    return file.getvalue()


def zstd(blocks):
    """Return a file of zstd: a frame of blocks of 128 KiB, each a byte that is repeated."""
    block = (2**17 << 3 | 1 << 1).to_bytes(3, "little") + b"1"
    return b"\x28\xb5\x2f\xfd\x00\x58" + block * blocks + (1 << 1 | 1).to_bytes(3, "little") + b"\n"


# Written by pyarrow: 1,000 texts of 100,000 letters as prefixes of one another (DELTA_BYTE_ARRAY), and 1,000 times one
# value of 100,000 bytes in a dictionary.
PREFIXES = (
    "P(e~L6#x~sp$rwU0W1~J4;2m-1{DSz0000ewJ-gkTZjPwWdZ=C0|Nj60MHKsfB^*P2LJ#O0001>h5-P80R-p=z?uxdnhX&U5fK0YKn;T$1~m+7"
    "7}PMRVNk=MhCz4)0Gx(+E(jM1mZwQQAO%eo1Q{$f02l^yV`yb<VHE-Z6$~W;7y)4=08AVJ000)y4;dU893}u96$}|A1`Zh*0bvyk7SInC<e>}}-T@{E"
    "NgNdb6%G{w06Z4JnhY5R872VG4*&oF7UZD}7SInS2o~M}04N}EVRCVGWppiLaBwYQa&m8XAa-SPb7^mGATl;CFfK6}92@`u0FD3v08l|vF#"
)
FIXED = (
    "P(e~L6$BN)nhX^zOceqZ01^NID77#BprD2U096105O{b20Goz6zycKj6&4jJEEUiX6%Z8$6$Tst001bpFa013SpWb70002c4*>zt4*(Se87wsb7z"
    "T4=Xk~3-6#@Vi4i&(f3>5+x0bu|Z&<`0L85|}692E{3H2?+>85jX!6$}>84;G%A3>KULCR8Q}DJ&HP6#x|i02Kfg5ETLdJShelCIHY60000Mo|_C7&<`dE"
    "7MuY9C?IfQa&dKKbS-0Wa4lhSa&LDac4cyNX>V>IGBz$SE-@J#8~^|Sk^lezP(e~L"
)
FLOATS = pl.DataFrame({"a": np.zeros(4_000_000)})
BOMBS = {
    "x.csv.gz": lambda: gzip.compress(b"a,b\n") + PART * 3,
    "x.csv.zst": lambda: zstd(1000),
    "x.parquet": lambda: written(FLOATS.write_parquet),
    "texts.parquet": lambda: written(pl.DataFrame({"a": [f"{i}" + "x" * 10**6 for i in range(40)]}).write_parquet),
    "prefixes.parquet": lambda: base64.b85decode(PREFIXES),
    "fixed.parquet": lambda: base64.b85decode(FIXED),
    "x.arrow": lambda: written(FLOATS.write_ipc, compression="zstd"),
    "stream.arrow": lambda: written(FLOATS.write_ipc_stream, compression="lz4"),
    "x.npz": lambda: written(np.savez_compressed, x=np.zeros(4_000_000)),
    "wide.csv": lambda: b",".join(b"c%d" % i for i in range(5000)) + b"\n" + b"1\n" * 5000,
    "names.jsonl": lambda: b"".join(b'{"c%d":1}\n' % i for i in range(3000)),
    "names.json": lambda: b"[" + b",".join(b'{"c%d":1}' % i for i in range(3000)) + b"]",
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_becomes_larger_than_the_limit_is_refused_before_it_does(name, tmp_path, monkeypatch):
    content = BOMBS[name]()
    path = tmp_path / name
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(
            ValueError, match=r"or more in memory; the limit is .*--max-unpacked \d+GB, or in Python with CH"
        ):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 2**24 + 8 * len(content)
    finally:
        tracemalloc.stop()
    if name not in ("x.csv.gz", "x.csv.zst", "texts.parquet"):
        monkeypatch.setenv(unpacking.VARIABLE, "2GB")
        assert read(path).frame.height


def test_a_table_that_is_streamed_has_the_same_limit(tmp_path, monkeypatch):
    path = tmp_path / "x.csv.gz"
    path.write_bytes(BOMBS["x.csv.gz"]())
    with pytest.raises(ValueError, match=r"x\.csv\.gz has .* the limit is .*--max-unpacked 1GB, or in Python with CH"):
        open_table(path)
    monkeypatch.setenv(unpacking.VARIABLE, "1GB")
    assert open_table(path).frame.height == 3 * 2**22


def test_gzip_is_unpacked_once_however_a_table_is_read(tmp_path, monkeypatch):
    """The limit, the size and the copy of a streamed table take one pass; and the parts are small, not the whole rest."""
    path, content = tmp_path / "x.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 10**5)
    path.write_bytes(content)
    made, read_bytes, unpack = [], [], gzip.GzipFile

    class Counted(io.BytesIO):
        def read(self, size=-1):
            read_bytes.append(super().read(size))
            return read_bytes[-1]

    def counted(*args, **kwargs):
        made.append(1)
        return unpack(*args, **kwargs)

    monkeypatch.setattr(gzip, "GzipFile", counted)
    assert open_table(path).frame.height == 10**5
    assert read(path).frame.height == 10**5
    assert len(made) == 2
    parts = list(unpacking.gunzipped(Counted(content), len(content), "x"))
    assert max(map(len, parts)) <= 2**16
    assert sum(map(len, parts)) == 4 + 4 * 10**5
    assert sum(map(len, read_bytes)) == len(content)


@pytest.mark.parametrize(
    "part", ["[],", "{},", '{"":0},', "[[]],", "0.1,", "-1,", '"",', '"ab",', '"é",', '"€",', '"😀",']
)
@pytest.mark.parametrize("size", [30_000, 300_000])
def test_json_takes_no_more_than_twice_its_size_and_a_constant(part, size, monkeypatch):
    """Or is refused: real schemas are far from the bound, as the next test shows."""
    room = 2 * 10**6
    monkeypatch.setattr(unpacking, "ROOM", room)
    content = ("[" + part * (size // len(part.encode())) + "0]").encode()
    unpacking.check_values(b"[]", "x")
    tracemalloc.start()
    try:
        with contextlib.suppress(ModelFileError):
            json.loads(unpacking.check_values(content, "x").decode())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 2 * len(content) + room
    names = "{" + ",".join(f'"{i:x}":0' for i in range(5000)) + "}"
    with pytest.raises(ModelFileError, match="x is larger than any file that chainrule writes"):
        unpacking.check_values(names.encode(), "x")


def test_real_schemas_are_far_from_the_bound():
    """One of 10,000 columns of 30 categories, and one of 15,000 numbers."""
    texts = Column("a column of categories", "category", "text", categories=tuple(f"category {i}" for i in range(30)))
    for column, count in ((texts, 10_000), (Column("a number", "number", low=-0.123456789012, high=1e300), 15_000)):
        (entry,) = json.loads(Schema((column,), (), "regression").to_json())["columns"]
        content = f'{{"format": 1, "columns": [{",".join([json.dumps(entry, indent=1)] * count)}]}}'.encode()
        assert len(content) < LARGEST
        assert unpacking.check_values(content, "x") is content


@pytest.mark.parametrize(
    "content",
    [npy("<f8", "(1000000000000,)"), npy("|S0", "(1000000000,)"), npy("<U0", "(5,)"), npy("<f8", "(-1,)"),
     npy("|V0", "(3,)"), b"\x93NUMPY\x01\x00\xff\xff{", b"\x93NUMPY\x09\x09", npy("(" * 60, "(1,)"), npy("<f8", "10**9**9"),
     npy("|O", "(1,)", bytes(8)), npy("<M8[Y]", "(1,)", bytes(8)), npy("<c16", "(1,)", bytes(16)),
     npy("<U1", "(1,)", b"\x00\xd8\x00\x00"), npy("<f8", "(0,)")],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("pack", [lambda content: content, archive], ids=["npy", "npz"])
def test_broken_arrays_end_in_one_sentence(content, pack, tmp_path):
    packed = pack(content)
    path = tmp_path / ("x.npy" if packed is content else "x.npz")
    path.write_bytes(packed)
    with pytest.raises(ValueError, match=r"cannot be (read|converted)|expected|the array") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def damaged(content, at, *values):
    content = bytearray(content)
    for offset in (content.find(b"PK\x03\x04") + at[0], content.find(b"PK\x01\x02") + at[1]):
        content[offset : offset + len(values)] = bytes(values)
    return bytes(content)


NPZ = archive(npy("<f8", "(1,)", bytes(8)))
ZIPS = {
    "encrypted": damaged(NPZ, (6, 8), 1),
    "an unknown compression": damaged(NPZ, (8, 10), 99),
    "cut": NPZ[:-30],
    "bad bits": damaged(NPZ, (40, 30), 255),
}


@pytest.mark.parametrize("name", ZIPS)
def test_archives_that_cannot_be_opened_end_in_one_sentence(name, tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(ZIPS[name])
    for reader in (read, lambda path: read_rows(str(path), None)):
        with pytest.raises(ValueError, match=r"x\.npz") as caught:
            reader(path)
        assert "\n" not in str(caught.value)


def test_numbers_of_more_than_64_bits_are_read(tmp_path):
    np.save(tmp_path / "x.npy", np.array([1.5, 2.5], np.longdouble))
    assert read(tmp_path / "x.npy").frame.rows() == [(1.5,), (2.5,)]


def test_rows_of_a_network_are_bounded_too(tmp_path):
    (tmp_path / "x.npz").write_bytes(BOMBS["x.npz"]())
    with pytest.raises(ValueError, match="the limit is"):
        read_rows(str(tmp_path / "x.npz"), None)


def test_lines_that_no_table_has(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "LONGEST_LINE", 2**16)
    (tmp_path / "x.csv").write_bytes(b"a,b\n1,2\n" + b"1," * 2**17)
    with pytest.raises(ValueError, match=r"x\.csv has a line of more than 65\.5 kB \(at byte .*one line per row"):
        read(tmp_path / "x.csv")
    (tmp_path / "x.csv").write_bytes(b"a,b\n" + b"1,2\n" * 2**17)
    assert read(tmp_path / "x.csv").frame.height == 2**17


def test_fields_of_megabytes(tmp_path):
    """They are longer than what the csv module takes by itself."""
    field = "x" * (17 * 2**20)
    (tmp_path / "x.csv").write_text(f"a,b\n1,2\n{field},\n2,\n")
    assert read(tmp_path / "x.csv").frame.shape == (3, 2)


def test_gzip_of_several_parts_is_read_whole(tmp_path):
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"a,b\n") + gzip.compress(b"1,2\n") + bytes(7))
    assert read(tmp_path / "x.csv.gz").frame.rows() == [(1, 2)]


@pytest.mark.parametrize("command", ["train", "tune", "predict"])
def test_one_option_of_all_commands(command, tmp_path, monkeypatch):
    monkeypatch.setenv(unpacking.VARIABLE, "1GB")  # and as it was afterwards
    (tmp_path / "x.csv.gz").write_bytes(BOMBS["x.csv.gz"]())
    arguments = {
        "train": ["x.csv.gz", "--target", "a"],
        "tune": ["x.csv.gz", "--target", "a", "--trials", "1"],
        "predict": ["x.csv.gz", "x.csv.gz"],
    }[command]
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [command, *arguments, "--max-unpacked", "much"])
    assert done.exit_code == 2
    assert "expected a size such as 8GB" in done.stderr.replace("\n", " ")
    done = CliRunner().invoke(app, [command, *arguments, "--max-unpacked", "20MB"])
    assert os.environ[unpacking.VARIABLE] == "20000000"
    if command != "predict":
        assert done.exit_code == 2
        assert "the limit is 20 MB" in done.stderr


@pytest.mark.parametrize("given", ["0", "-1", "1e9", "1 PB", "9" * 99, "٣GB", ""])
def test_sizes_that_are_none(given):
    with pytest.raises(ValueError, match="expected a size such as 8GB or 500MB"):
        unpacking.size_of(given, "--max-unpacked")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no such shell")
def test_closed_standard_output_is_said():
    code = "from chainrule.cli import main; main()"
    shell = '"$0" -c "$1" predict run x.csv >&-'
    done = subprocess.run(["sh", "-c", shell, sys.executable, code], capture_output=True, text=True, check=False)
    assert done.stderr == "Error: standard output is closed: give a file with --out.\n"
    assert done.returncode == 2
    shell = '"$0" -c "$1" --version >&-'
    done = subprocess.run(["sh", "-c", shell, sys.executable, code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow", "stream.arrow", "x.csv.zst", "names.jsonl"])
def test_what_is_damaged_is_still_refused_in_one_sentence(name, tmp_path):
    """The headers that sizes are found from may say anything."""
    frame = pl.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    whole = {
        "x.parquet": lambda: written(frame.write_parquet),
        "x.arrow": lambda: written(frame.write_ipc, compression="zstd"),
        "stream.arrow": lambda: written(frame.write_ipc_stream, compression="zstd"),
        "x.csv.zst": lambda: zstd(1),
        "names.jsonl": lambda: b'{"a": 1}\n' * 3,
    }[name]()
    kind = {"x": "Parquet" if name == "x.parquet" else "Arrow", "stream": "Arrow", "names": "JSON lines"}[
        name.split(".")[0]
    ]
    rng = np.random.default_rng(0)
    for _ in range(300):
        content = bytearray(whole)
        for at in rng.integers(4, len(content), 3):
            content[at] = rng.integers(256)
        content = bytes(content[: rng.integers(8, len(content) + 1)] if rng.random() < 0.3 else content)
        try:
            if name == "x.csv.zst":
                unpacking.check_zstd(content, name)
            else:
                unpacking.check_content(content, kind, name)
        except ValueError as error:
            assert "the limit is" in str(error)  # noqa: PT017
