"""``s3://``, from a local server that speaks the protocol of S3: moto's."""

import io
import re
import socket
import time

import pytest

pytestmark = pytest.mark.slow

pl = pytest.importorskip("polars")
s3fs = pytest.importorskip("s3fs")
server = pytest.importorskip("moto.server")

from typer.testing import CliRunner  # noqa: E402

from chainrule.cli.app import app  # noqa: E402
from chainrule.tables import read  # noqa: E402
from chainrule.tables.sources import remote  # noqa: E402

FRAME = pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})


@pytest.fixture(scope="module")
def address():
    """Start a server with a bucket, and return its address."""
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    files = s3fs.S3FileSystem(key="a", secret="b", endpoint_url=f"http://{host}:{port}", skip_instance_cache=True)
    files.mkdir("shop")
    parquet = io.BytesIO()
    FRAME.write_parquet(parquet)
    files.pipe({"shop/t.csv": FRAME.write_csv().encode(), "shop/broken.parquet": b"PAR1 no more"})
    files.pipe({f"shop/sales/{name}": parquet.getvalue() for name in ("1.parquet", "2.parquet", "_log.parquet")})
    files.pipe("shop/sales/notes.pdf", b"%PDF")
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture(autouse=True)
def credentials(monkeypatch, address):
    """Set what botocore takes from the environment, and nothing else."""
    given = {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "DEFAULT_REGION": "us-east-1", "ENDPOINT_URL": address,
             "EC2_METADATA_DISABLED": "true", "CONFIG_FILE": "/none", "SHARED_CREDENTIALS_FILE": "/none"}  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    s3fs.S3FileSystem.clear_instance_cache()  # which keeps connections, whatever the environment


def test_a_file_a_folder_and_a_pattern():
    table = read("s3://shop/t.csv")
    assert table.frame.equals(FRAME)
    assert read("s3://shop/sales/1.parquet").frame.equals(FRAME)
    for source in ("s3://shop/sales/", "s3://shop/sales/[12].parquet"):
        table = read(source)
        assert table.frame.equals(pl.concat([FRAME, FRAME])), source
        assert "2 files: 1.parquet, 2.parquet" in table.notes


@pytest.mark.parametrize(("source", "error", "sentence"), [
    ("s3://nowhere/t.csv", FileNotFoundError, "no such bucket: s3://nowhere/t.csv."),
    ("s3://shop/none.csv", FileNotFoundError, "no such file: s3://shop/none.csv."),
    ("s3://shop/none/", FileNotFoundError, "the folder s3://shop/none/ has no table."),
    ("s3://shop/*.xlsx", FileNotFoundError, "no file fits the pattern s3://shop/*.xlsx."),
    ("s3://shop/sales", ValueError, "s3://shop/sales is empty, or a folder: end the address of a folder with a slash."),
    ("s3://shop/broken.parquet", ValueError, "s3://shop/broken.parquet"),
])  # fmt: skip
def test_what_is_not_there_is_said_in_a_sentence(source, error, sentence):
    with pytest.raises(error, match=f"^{re.escape(sentence)}"):
        read(source)


def test_without_credentials(monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    done = CliRunner().invoke(app, ["train", "s3://shop/t.csv", "--target", "b"])
    assert done.exit_code == 2
    assert done.stderr == (
        "Error: no credentials for s3://shop/t.csv: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.\n"
    )


@pytest.mark.parametrize("source", ["s3://shop/t.csv", "s3://shop/sales/"])
def test_a_server_that_is_not_there_or_says_nothing(monkeypatch, source):
    monkeypatch.setattr(remote, "READ", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (1, silent.getsockname()[1]):
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
            s3fs.S3FileSystem.clear_instance_cache()
            start = time.monotonic()
            with pytest.raises(
                ConnectionError, match=f"cannot reach {source} .*: check the address and the connection"
            ):
                read(source)
            assert time.monotonic() - start < 60  # without the limits, several minutes
