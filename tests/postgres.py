"""A PostgreSQL server in a folder of its own, for the tests of tables in databases and of shared studies."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

PASSWORD = "s3c@ret/x"


def program(name):
    """Return the path of a program of the server, which Debian keeps out of PATH, or skip the test."""
    places = [os.environ.get("PATH", ""), *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)]
    return shutil.which(name, path=os.pathsep.join(places)) or pytest.skip(f"PostgreSQL is not installed: no {name}")


def account():
    """Return the user that may run a server: PostgreSQL refuses root."""
    if os.getuid():
        return {}
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    return {"user": "postgres", "group": "postgres", "extra_groups": []}


@contextlib.contextmanager
def server():
    """Start PostgreSQL at a free port of this machine, and yield the connection string of its superuser."""
    initdb, postgres, who = program("initdb"), program("postgres"), account()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    secret = folder / "password"
    secret.write_text(PASSWORD)
    for path in (folder, secret) if who else ():
        shutil.chown(path, "postgres")
    how = ["--auth=scram-sha-256", "--pwfile", secret, "--encoding=UTF8", "--locale=C", "--no-sync"]
    subprocess.run(
        [initdb, "-D", folder / "data", "-U", "ann", *how], check=True, capture_output=True, cwd=folder, **who
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "timezone=Asia/Tokyo"]
    command = [postgres, "-D", folder / "data", "-k", folder, "-p", str(port), *settings]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL, **who) as process:
        address = f"postgresql://ann:s3c%40ret%2Fx@127.0.0.1:{port}/postgres"
        try:
            answered(address)
            yield address
        finally:
            process.terminate()
            process.wait(20)
            shutil.rmtree(folder)


def answered(address):
    """Wait until the server answers."""
    end = time.monotonic() + 20
    while True:
        try:
            connection = psycopg.connect(address)
            break
        except psycopg.OperationalError:
            assert time.monotonic() < end
            time.sleep(0.05)
    connection.close()
