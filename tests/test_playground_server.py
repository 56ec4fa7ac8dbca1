"""The playground over its WebSocket: one page on this machine, and nobody else."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from socket import SHUT_RDWR

import httpx
import pytest
import uvicorn
from typer.testing import CliRunner
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

import chainrule as cr
from chainrule.cli.app import app
from chainrule.playground.bounds import MESSAGE
from chainrule.playground.server import SESSIONS, configuration, listen
from chainrule.playground.state import BEGIN
from test_playground import decoded, threads, valid

TOKEN = "a-token"


@pytest.fixture(scope="module")
def port():
    listener = listen(0)
    number = listener.getsockname()[1]
    server = uvicorn.Server(configuration(TOKEN, number))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield number
    server.should_exit = True
    thread.join()


def opened(port, token=TOKEN, origin="http://127.0.0.1:{port}", **more):
    origin = None if origin is None else origin.format(port=port)
    return connect(f"ws://127.0.0.1:{port}/ws?token={token}", origin=origin, max_size=None, **more)


def tell(socket, kind, **fields):
    socket.send(json.dumps({"type": kind, **fields}))


def receive(socket, wanted):
    while True:
        message = socket.recv(timeout=30)
        if isinstance(message, bytes):
            header, _ = decoded(message)
            if header["kind"] == "frame":
                tell(socket, "ack", frame=header["frame"])
            message = header
        else:
            message = json.loads(message)
            valid(message, "FromServer")
        if wanted in (message.get("type"), message.get("kind")):
            return message


def denied(port, origin):
    with pytest.raises(InvalidStatus) as error, opened(port, origin=origin):
        pass
    assert error.value.response.status_code == 403
    return error.value.response.body.decode()


def refused(port, token=TOKEN):
    with opened(port, token=token) as socket, pytest.raises(ConnectionClosed) as error:
        socket.recv(timeout=10)
    assert error.value.rcvd.code == 4403
    return error.value.rcvd.reason


def test_a_page_trains_over_the_socket(port):
    with opened(port) as socket:
        state = receive(socket, "catalog")["state"]
        tell(socket, "configure", state=state)
        assert receive(socket, "configured")["parameters"] == 114
        assert receive(socket, "frame")["step"] == 0
        tell(socket, "step", count=200, unit="step")
        header = receive(socket, "frame")
        while header["step"] < 200:
            header = receive(socket, "frame")
        assert header["metrics"]["val_accuracy"] > 0.9


def test_a_wrong_token_a_foreign_origin_and_another_host_are_refused(port):
    assert refused(port, token="guess").startswith("Wrong token")
    assert refused(port, token="").startswith("Wrong token")
    assert denied(port, "https://evil.example").startswith("Pages of 'https://evil.example' may not use")
    assert "'http://127.0.0.1:1'" in denied(port, "http://127.0.0.1:1")
    assert "'none'" in denied(port, None)
    answer = httpx.get(f"http://127.0.0.1:{port}/", headers={"host": "evil.example"})
    assert (answer.status_code, answer.text) == (421, "This playground is not 'evil.example'.")


def test_answers_allow_nothing_from_elsewhere(port):
    answer = httpx.get(f"http://127.0.0.1:{port}/no-such-file.js")
    assert answer.status_code == 404
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for path in ("../server.py", "..%2fserver.py", "%2e%2e/schema.json", "/etc/passwd"):
        assert httpx.get(f"http://127.0.0.1:{port}/{path}").status_code == 404


def test_what_is_not_a_message_is_refused_with_a_sentence(port):
    with opened(port) as socket:
        for text, said in (("{", "not JSON"), ("[]", "expected a JSON object"), ("[" * 100_000, "not JSON")):
            socket.send(text)
            assert said in receive(socket, "error")["text"]
        tell(socket, "configure", state=BEGIN | {"data": {"name": "csv", "csv": "a,b\n" + "1,2\n" * 2_000_000}})
        assert "data.csv: expected at most" in receive(socket, "error")["text"]
        tell(socket, "configure", state=BEGIN)
        receive(socket, "frame")


def test_a_message_that_is_too_large_ends_the_connection_and_nothing_else(port):
    with opened(port) as socket:
        receive(socket, "catalog")
        with pytest.raises(ConnectionClosed):
            socket.send("x" * (2 * MESSAGE + 1)) or socket.recv(timeout=30)
    with opened(port) as socket:
        receive(socket, "catalog")


def settled(count):
    deadline = time.monotonic() + 10
    while len(threads()) != count and time.monotonic() < deadline:
        time.sleep(0.02)
    return len(threads())


def test_pages_that_close_in_the_middle_leave_no_thread(port):
    assert settled(0) == 0
    with ExitStack() as pages:
        sockets = [pages.enter_context(opened(port)) for _ in range(3)]
        for socket in sockets:
            tell(socket, "configure", state=BEGIN)
            tell(socket, "run")
            receive(socket, "frame")
        assert settled(3) == 3
        sockets[0].close()
        assert settled(2) == 2
        for socket in sockets[1:]:
            socket.socket.shutdown(SHUT_RDWR)  # as a browser that crashes: no farewell
        assert settled(0) == 0


def test_there_are_bounds_on_open_pages(port):
    with ExitStack() as pages:
        for _ in range(SESSIONS):
            pages.enter_context(opened(port))
        assert "close one" in refused(port)
    assert settled(0) == 0


@pytest.mark.slow
def test_at_most_thirty_frames_a_second_and_so_many_steps_from_one_to_the_next(port):
    with opened(port) as socket:
        tell(socket, "configure", state=BEGIN)
        receive(socket, "frame")
        tell(socket, "run", pace=25)
        began, first = time.monotonic(), receive(socket, "frame")
        frames, last = 0, first
        while time.monotonic() - began < 1:
            last, frames = receive(socket, "frame"), frames + 1
    assert 1 <= frames <= 33  # how many depends on what else the machine does
    assert frames <= last["step"] - first["step"] <= 25 * frames


@pytest.mark.slow
def test_the_command_serves_a_csv_file_until_ctrl_c(tmp_path):
    file = tmp_path / "pets.csv"
    file.write_text("weight,age,kind\n" + "".join(f"{i},{i % 7},{'cat' if i < 10 else 'dog'}\n" for i in range(20)))
    command = [sys.executable, "-m", "chainrule", "playground", str(file), "--no-browser"]
    environment = os.environ | {"PYTHONPATH": str(Path(cr.__file__).parents[1])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            found = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", process.stdout.readline())
            with opened(int(found[1]), token=found[2]) as socket:
                state = receive(socket, "catalog")["state"]
                assert state["data"]["name"] == "csv"
                tell(socket, "configure", state=state)
                assert receive(socket, "configured")["data"]["classes"] == ["cat", "dog"]
                tell(socket, "run")
                receive(socket, "frame")
                process.send_signal(signal.SIGINT)  # with the page open and in training
                assert process.wait(20) == 0
        finally:
            process.kill()
        assert process.stdout.read().endswith("Stopped.\n")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"a,b\n1,2\nx,3\n1,2\n1,2\n", "column 'a': 'x' is not a number"), ("a.csv", b"\xff\xfe\x00", "UTF-8"),
        ("a.json", b"{", "a.json:"), ("a.json", b'{"more": 1}', "unknown field 'more'"), ("a.parquet", b"", "expected a .csv"),
        ("hiden-layer", b"", "a lesson (neuron, classes, hidden-layer,"), ("#x", b"", "copy all of it"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_with_a_sentence(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    answer = CliRunner().invoke(app, ["playground", str(tmp_path / name), "--no-browser"])
    assert answer.exit_code == 2
    assert said in answer.stderr
