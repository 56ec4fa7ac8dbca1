"""Firefox by WebDriver BiDi, over one WebSocket: Playwright drives only a Firefox of its own."""

import json
import re
import shutil
import subprocess
from contextlib import contextmanager

from websockets.sync.client import connect

FIREFOX = shutil.which("firefox") or shutil.which("firefox-esr")


class Page:
    """One tab."""

    def __init__(self, socket):
        self._socket, self._count = socket, 0
        self.console = []
        self._command("session.new", capabilities={})
        self._command("session.subscribe", events=["log.entryAdded"])
        self._tab = self._command("browsingContext.getTree")["contexts"][0]["context"]

    def _command(self, method, **parameters):
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=60))
            if message.get("method") == "log.entryAdded":
                self.console.append(message["params"]["text"])
            if message.get("id") == self._count:
                assert message["type"] == "success", message
                return message["result"]

    def goto(self, address):
        self._command("browsingContext.navigate", context=self._tab, url=address, wait="complete")

    def run(self, script):
        """Return what the body of an asynchronous function returns."""
        found = self._command(
            "script.evaluate", expression=f"(async () => JSON.stringify(await (async () => {{{script}}})()))()",
            target={"context": self._tab}, awaitPromise=True,
        )  # fmt: skip
        assert found["type"] == "success", found
        return json.loads(found["result"].get("value", "null"))


@contextmanager
def firefox(profile):
    """Start Firefox without a window, and yield a page of it."""
    command = [FIREFOX, "--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", str(profile)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        try:
            address = next(filter(None, (re.search(r"BiDi listening on (ws://\S+)", line) for line in process.stderr)))
            with connect(f"{address[1]}/session", max_size=None) as socket:
                yield Page(socket)
        finally:
            process.kill()
