"""The page of the playground in Firefox."""

import threading
from contextlib import closing

import pytest

import chainrule as cr

uvicorn = pytest.importorskip("uvicorn")
bidi = pytest.importorskip("firefox")
server = pytest.importorskip("chainrule.playground.server")
states = pytest.importorskip("chainrule.playground.state")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bidi.FIREFOX is None, reason="Firefox is not installed"),
]

UNTIL = "const until = async (find) => { while (!find()) await new Promise((done) => setTimeout(done, 50)); };"
STEP = "document.querySelector('.readings dd')?.textContent"


@pytest.fixture
def address():
    listener = server.listen(0)
    port = listener.getsockname()[1]
    running = uvicorn.Server(server.configuration("token", port))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    with closing(listener):
        yield f"http://127.0.0.1:{port}/?token=token"
        running.should_exit = True
        thread.join(timeout=10)
    assert not thread.is_alive()


def test_firefox_shows_the_numbers_of_train_after_200_steps(address, tmp_path):
    with bidi.firefox(tmp_path) as page:
        page.goto(address)
        page.run(f"{UNTIL} await until(() => {STEP} === '0');")
        for epoch in range(1, 9):
            page.run(
                f"""{UNTIL}
                [...document.querySelectorAll("button")].find((one) => one.textContent === "Epoch").click();
                await until(() => {STEP} === "{25 * epoch}");"""
            )
        shown = page.run(
            """document.querySelector('[aria-label="Hidden 1, unit 3"]').click();
            return ["weight from x", "weight from y", "bias"].map(
                (name) => Number(document.querySelector(`[aria-label="${name}"]`).value));"""
        )
        assert page.console == []
    plan = states.read(states.BEGIN)
    network = cr.Network(2, plan.layers, plan.loss, seed=plan.seed)
    rows = plan.rows
    cr.train(
        network, rows.X, rows.t, optimizer=plan.optimizer, epochs=8, batch_size=plan.batch_size, seed=0,
        validation=(rows.X_test, rows.t_test),
    )  # fmt: skip
    dense = network.layers[0]
    assert shown == pytest.approx([dense.W[0, 2], dense.W[1, 2], dense.b[2]], rel=1e-4)
