"""The page of the playground, in a real browser, with a real server."""

import base64
import json
import re
import shutil
import subprocess
import threading
import time
import zlib
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

import browsers
import chainrule as cr
from test_playground import CONFIGURATIONS, trained

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
expect.set_options(timeout=30_000)  # machines are slow when they do something else
server = pytest.importorskip("chainrule.playground.server")
uvicorn = pytest.importorskip("uvicorn")

ROOT = Path(__file__).parent.parent
STATIC = Path(cr.__file__).parent / "playground" / "static"
TABS = ("Step by step", "Check and break", "Sweep and surface", "Take it home")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address():
    listener = server.listen(0)
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        server.application("token", port), ws="websockets-sansio", lifespan="off", log_level="error", log_config=None
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    with closing(listener):
        yield f"http://127.0.0.1:{port}/?token=token"
        running.should_exit = True
        thread.join(timeout=10)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module", params=browsers.EACH)
def browser(request, downloads):
    with browsers.browser(request.param, downloads_path=downloads) as running:
        yield running


@pytest.fixture
def opened(browser, address):
    """Open the page; at the end, nothing was written to the console and nothing asked of another place."""
    found, opened = [], ExitStack()

    def open_page(fragment="", width=1280, dark=False):
        running = browser
        if dark and browser.browser_type.name == "firefox":
            running = opened.enter_context(browsers.launch(browser.browser_type, dark=True))
        scheme = "dark" if dark else "light"
        context = opened.enter_context(
            running.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        )
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda message: found.append(message.text))
        page.on("pageerror", lambda error: found.append(str(error)))
        origin = address.split("?")[0]
        page.on(
            "request", lambda request: request.url.startswith((origin, "data:", "blob:")) or found.append(request.url)
        )
        page.goto(address + fragment)
        page.wait_for_selector(".unit:not(.input)")
        page.locator(".readings dd").first.wait_for()
        assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == dark
        return page

    with opened:
        yield open_page
    assert not found


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build the page from a fresh copy with ``npm ci && npm run build``."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    copy = tmp_path_factory.mktemp("page")
    shutil.copytree(ROOT / "playground", copy / "playground", ignore=shutil.ignore_patterns("node_modules"))
    rooms = copy / "src" / "chainrule" / "playground"
    rooms.mkdir(parents=True)
    shutil.copy(STATIC.parent / "schema.json", rooms)
    for command in (["ci", "--no-audit", "--no-fund"], ["run", "check"], ["run", "build"]):
        done = subprocess.run(["npm", *command], cwd=copy / "playground", timeout=300, capture_output=True, check=False)
        if done.returncode and command[0] == "ci":
            pytest.skip("the packages of the page are not to be had here")
        assert not done.returncode, (done.stdout + done.stderr).decode()
    return copy


def reading(page, name):
    return (
        page.locator(".readings")
        .first.locator("div")
        .filter(has=page.get_by_text(name, exact=True))
        .locator("dd")
        .inner_text()
    )


def at_step(page, step):
    expect(page.locator(".readings dd").first).to_have_text(f"{step:,}")


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def enter(field, number):
    """Type a number over another. Playwright's ``fill`` leaves a field of numbers in Firefox empty."""
    field.press("ControlOrMeta+a")
    field.press_sequentially(number)
    field.press("Enter")


def test_the_build_gives_the_committed_bytes(built):
    made = {file.name: file.read_bytes() for file in (built / "src/chainrule/playground/static").iterdir()}
    assert made == {file.name: file.read_bytes() for file in STATIC.iterdir()}
    assert sum(map(len, made.values())) < 200_000
    types = (built / "playground/src/schema.d.ts").read_text(encoding="utf-8")
    assert types == (ROOT / "playground/src/schema.d.ts").read_text(encoding="utf-8")


def test_run_pause_step_epoch_back_and_reset(opened):
    page = opened()
    at_step(page, 0)
    press(page, "Step")
    at_step(page, 1)
    press(page, "Epoch")
    at_step(page, 25)
    press(page, "Back")
    at_step(page, 24)
    press(page, "Run")
    expect(page.locator(".readings dd").first).to_have_text(re.compile(r"[1-9]\d\d"))
    press(page, "Pause")
    assert page.get_by_role("button", name="Run", exact=True).is_visible()
    press(page, "Reset")
    at_step(page, 0)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_numbers_are_those_of_train_after_200_steps(opened, name):
    content = zlib.compress(json.dumps(CONFIGURATIONS[name]).encode())
    page = opened("#" + base64.urlsafe_b64encode(content).decode().rstrip("="))
    press(page, "Run")
    expect(page.locator(".readings dd").first).to_have_text(re.compile(r"[2-9]\d\d|\d,"), timeout=120_000)
    page.locator(".run").evaluate("run => run.textContent === 'Pause' && run.click()")  # it may have ended
    enter(page.get_by_label("Go back to step"), "200")
    press(page, "Go")
    at_step(page, 200)
    plan, network = trained(CONFIGURATIONS[name], 200)
    dense = network.layers[0]
    page.get_by_role("button", name="Hidden 1, unit 3", exact=True).click()
    titles = [f"weight from {name}" for name in plan.rows.names] + ["bias"]
    shown = [float(page.get_by_label(title, exact=True).input_value()) for title in titles]
    assert shown == [float(f"{value:.5g}") for value in (*dense.W[:, 2], dense.b[2])]
    loss = network.loss_and_grad(plan.rows.X, plan.rows.t)[0]
    assert float(reading(page, "Training loss")) == pytest.approx(loss, abs=6e-4)


def test_a_unit_by_keyboard_and_a_weight_by_hand(opened):
    page = opened()
    page.get_by_role("button", name="Hidden 1, unit 1", exact=True).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.ariaLabel") == "Hidden 2, unit 2"
    page.keyboard.press("Enter")
    before = reading(page, "Training loss")
    weight = page.get_by_label("weight from unit 4")
    enter(weight, "2.5")
    expect(page.locator(".readings dd").nth(2)).not_to_have_text(before)
    weight.blur()
    assert page.get_by_label("weight from unit 4").input_value() == "2.5"
    assert "2.50·a4" in page.locator(".equation").first.inner_text()


def test_layers_units_and_activations(opened):
    page = opened()
    page.get_by_role("button", name="Hidden 1: add a unit").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Hidden 1, unit 9", exact=True).wait_for()
    assert page.evaluate("document.activeElement.ariaLabel") == "Hidden 1: add a unit"
    before = page.evaluate("location.hash")
    page.get_by_label("Hidden 2: activation").select_option("ReLU")
    page.wait_for_function("before => location.hash !== before", arg=before)  # the new network
    page.get_by_role("button", name="Add a hidden layer before the output").click()
    page.get_by_role("button", name="Hidden 3, unit 4", exact=True).wait_for()
    page.get_by_role("button", name=re.compile("Hidden 1, Dense.*settings")).click()
    page.get_by_label("Add a layer after it").select_option("Dropout")
    page.get_by_role("button", name="Dropout(0.1)").click()
    enter(page.get_by_label("Rate", exact=True), "0.3")
    page.get_by_role("button", name="Dropout(0.3)").wait_for()
    press(page, "Epoch")
    at_step(page, 25)


def test_training_settings(opened):
    page = opened()
    page.get_by_label("Optimizer").select_option("Momentum")
    page.get_by_label("Momentum", exact=True).wait_for()
    page.get_by_label("Add penalty").select_option("L2")
    page.get_by_label("L2 strength").wait_for()
    enter(page.get_by_label("Batch size"), "25")
    page.get_by_label("Schedule").select_option("Cosine")
    page.get_by_label("End", exact=True).wait_for()
    press(page, "Epoch")
    at_step(page, 10)
    enter(page.get_by_label("Batch size"), "4000")
    page.get_by_role("alert").wait_for()
    assert "batch_size" in page.get_by_role("alert").inner_text()
    assert page.get_by_label("Batch size").input_value() == "25"


@pytest.mark.parametrize("name", ["moons", "xor", "spirals-3", "blobs", "digits", "surface", "curve"])
def test_every_data_set_trains(opened, name):
    page = opened()
    press(page, "Step")
    at_step(page, 1)
    page.get_by_label("Data set").select_option(name)
    at_step(page, 0)  # of the new network
    before = reading(page, "Training loss")
    press(page, "Epoch")
    at_step(page, 25)
    assert float(reading(page, "Training loss").replace("−", "-")) < float(before)
    assert page.get_by_role("alert").count() == 0


def test_a_link_is_the_state(opened):
    page = opened()
    page.get_by_label("Data set").select_option("moons")
    page.locator(".legend, .scale").get_by_text("upper").first.wait_for()  # the new network
    before = page.evaluate("location.hash")
    enter(page.get_by_label("Batch size"), "7")
    expect(page.locator(".data .note")).to_contain_text("250 training rows")
    page.wait_for_function("before => location.hash && location.hash !== before", arg=before)
    fragment = page.evaluate("location.hash")
    other = opened(fragment)
    assert other.get_by_label("Data set").input_value() == "moons"
    assert other.get_by_label("Batch size").input_value() == "7"


def test_step_by_step(opened):
    page = opened()
    press(page, "Trace")
    page.locator(".operations button").first.wait_for()
    phases = page.locator(".operations .phase").all_inner_texts()
    assert [phase.lower() for phase in phases] == ["forward", "loss", "backward", "update"]
    page.locator(".operations button").nth(5).focus()
    page.keyboard.press("ArrowDown")
    assert page.locator(".operations [aria-current=step]").inner_text() == "Dense(2)"
    assert page.locator(".operation .checked").count() > 0
    assert page.locator(".operation .checked.wrong").count() == 0
    assert "chainrule/layers" in page.locator(".operation figcaption").first.inner_text()


def test_each_number_opens_its_equation(opened):
    page = opened()
    press(page, "Trace")
    page.locator(".operations button", has_text="Dense(8)").nth(2).click()  # backward of layer 2
    dW = page.get_by_role("grid", name="dW (8, 8)")
    dW.locator("td").nth(10).click()
    expect(page.locator(".operation .worked")).to_have_text(re.compile(r"dW\[1, 2\] = "))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(".operation .worked")).to_have_text(re.compile(r"dW\[2, 3\] = "))
    expect(page.locator(".spoken")).to_have_text(re.compile(r"dW\[2, 3\] = .*: right"))
    page.get_by_role("grid", name="dx (1, 8)").locator("td").nth(4).click()
    expect(page.locator(".operation .worked").last).to_have_text(re.compile(r"dx\[0, 4\] = "))
    expect(page.locator(".operation .checked").last).to_have_text(re.compile(r"✓ dx\[0, 4\] = .*L\(x\[0, 4\] \+ h\)"))
    page.locator(".operations button", has_text="Tanh").first.click()
    page.get_by_role("grid", name="y (1, 8)").locator("td").nth(5).click()
    expect(page.locator(".operation .worked")).to_have_text(re.compile(r"y\[0, 5\] = tanh"))
    page.locator(".operations button", has_text="SoftmaxCrossEntropy").click()
    page.get_by_role("grid", name="p (1, 2)").locator("td").nth(0).click()
    expect(page.locator(".operation .worked").last).to_have_text(re.compile(r"dy\[0, 0\] = "))


def test_run_before_the_network_is_there_keeps_its_speed(opened):
    page = opened()
    page.evaluate(
        """() => {
            const send = WebSocket.prototype.send;
            window.runs = [];
            WebSocket.prototype.send = function (text) {
                if (JSON.parse(text).type === "run") runs.push(JSON.parse(text).pace);
                send.call(this, text);
            };
            const find = name => [...document.querySelectorAll("button")].find(one => one.textContent === name);
            const size = document.querySelectorAll("input[type=number]");
            const batch = [...size].find(one => one.labels[0]?.textContent === "Batch size");
            batch.value = "50";
            batch.dispatchEvent(new Event("change"));
            find("Run").click();
        }"""
    )
    page.wait_for_function("() => runs.length > 0")
    assert page.evaluate("runs") == [5]  # the batches of an epoch of the new network


def test_heat_maps_over_principal_components_and_slices(opened):
    page = opened()
    page.get_by_label("Data set").select_option("csv")
    rows = "\n".join(f"{i % 7},{i % 5},{i % 3},{'yes' if i % 7 > 3 else 'no'}" for i in range(60))
    page.get_by_label("or paste it here").fill(f"a,b,c,kind\n{rows}")
    press(page, "Use this table")
    page.get_by_label("Heat maps over").select_option("pca")
    expect(page.locator(".axis.x")).to_have_text("component 1")
    page.get_by_label("Heat maps over").select_option("two")
    expect(page.locator(".axis.y")).to_have_text("b")
    picture = "document.querySelector('.map').toDataURL()"
    before = page.evaluate(picture)
    page.get_by_role("slider", name="c").press("End")
    page.wait_for_function(f"before => {picture} !== before", arg=before)
    page.get_by_label("Heat maps over").select_option("none")
    expect(page.locator(".stage")).to_be_hidden()
    drawn = "one => one.getContext('2d').getImageData(0, 0, 50, 50).data.some(Boolean)"
    assert not page.evaluate(f"[...document.querySelectorAll('.unit canvas')].some({drawn})")


def test_parts_inside_parts(opened):
    page = opened()
    page.get_by_label("Schedule", exact=True).select_option("WarmUp")
    page.get_by_label("Then").select_option("Cosine")
    enter(page.get_by_role("group", name="Then").get_by_label("End"), "0.25")
    page.get_by_role("button", name=re.compile("Hidden 1, Dense.*settings")).click()
    page.get_by_label("Add a layer after it").select_option("Residual")
    page.get_by_role("button", name=re.compile("Residual.*settings")).click()
    page.get_by_label("Add an inner layer").select_option("Dropout")
    enter(page.get_by_role("group", name="Inner layer 3").get_by_label("Rate"), "0.4")
    page.get_by_role("button", name=re.compile(r"Residual.*Dropout\(0.4\).*settings")).wait_for()
    press(page, "Step")
    at_step(page, 1)
    assert page.get_by_role("group", name="Then").get_by_label("End").input_value() == "0.25"


def test_features_of_the_inputs(opened):
    page = opened()
    page.get_by_label("xy", exact=True).check()
    page.get_by_role("button", name="Input xy", exact=True).wait_for()
    press(page, "Step")
    at_step(page, 1)


def test_a_point_on_the_map_is_traced_and_the_curve_goes_back(opened):
    page = opened()
    press(page, "Epoch")
    at_step(page, 25)
    page.locator(".stage").click(position={"x": 100, "y": 120})
    page.locator(".operations button").first.wait_for()
    assert "the network predicts" in page.locator(".lab .note").first.inner_text()
    enter(page.get_by_label("Go back to step"), "10")
    press(page, "Go")
    at_step(page, 10)


def test_curves_are_kept_to_compare_with(opened):
    page = opened()
    press(page, "Epoch")
    at_step(page, 25)
    press(page, "Keep curves")
    kept = page.locator(".curve.train.kept").get_attribute("d")
    assert kept.startswith("M")
    enter(page.get_by_label("Learning rate"), "0.3")
    at_step(page, 0)
    assert page.locator(".curve.train.kept").get_attribute("d")
    press(page, "Drop kept curves")
    assert not page.locator(".curve.train.kept").get_attribute("d")


def test_a_refused_change_is_undone(opened):
    page = opened()
    page.get_by_role("button", name=re.compile("Hidden 1, Dense.*settings")).click()
    page.get_by_label("Add a layer after it").select_option("Conv2D")
    page.get_by_role("alert").wait_for()
    page.get_by_label("Add a layer after it").select_option("Residual")
    page.get_by_role("button", name=re.compile("Residual.*settings")).wait_for()
    press(page, "Step")
    at_step(page, 1)


def test_a_planted_mistake_is_found_and_mended(opened):
    page = opened()
    badge = page.locator(".badge")
    expect(badge).to_have_text("✓ Gradient right")
    badge.click()
    press(page, "dW has the wrong sign")
    expect(badge).to_have_text("✗ Gradient wrong")
    assert "the sign is flipped" in page.locator(".verdict").inner_text()
    press(page, "Restore")
    expect(badge).to_have_text("✓ Gradient right")


def test_the_next_check_waits_for_the_answer_to_the_last(opened):
    page = opened()
    expect(page.locator(".badge")).to_have_text("✓ Gradient right")
    page.evaluate(
        """() => {
            const send = WebSocket.prototype.send;
            window.checks = 0;
            WebSocket.prototype.send = function (text) {
                if (JSON.parse(text).type === "check") checks += 1; // and is not sent, so nothing answers
                else send.call(this, text);
            };
        }"""
    )
    press(page, "Run")
    page.wait_for_function("() => checks > 0")
    page.wait_for_timeout(5500)  # checks that are answered follow after 5 seconds
    assert page.evaluate("checks") == 1


def saved(page, button, downloads):
    """Return the name and the content of the file that a button saves."""
    if page.context.browser.browser_type.name == "chromium":
        with page.expect_download() as download:
            press(page, button)
        return download.value.suggested_filename, Path(download.value.path()).read_bytes()
    press(page, button)  # Firefox 153 announces the file without the number by which Playwright knows downloads
    file = downloads / page.get_by_text(re.compile(r"^Saved .+\.$")).inner_text()[6:-1]
    deadline = time.monotonic() + 30
    while not (file.exists() and file.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    return file.name, file.read_bytes()


@pytest.mark.parametrize("title", ["Python", "Notebook", "Model file", "ONNX", "C"])
def test_take_home(opened, downloads, title):
    page = opened()
    page.get_by_role("tab", name="Take it home").click()
    name, content = saved(page, f"Save as {title}", downloads)
    assert name
    assert len(content) > 100


def test_drawn_points_by_keyboard(opened):
    page = opened()
    page.get_by_label("Data set").select_option("points")
    for color, moves in (("0", "ArrowLeft"), ("1", "ArrowRight")):
        page.get_by_label("Color").select_option(color)
        page.locator(".pad").focus()
        for _ in range(4):
            page.keyboard.press(moves)
            page.keyboard.press("Space")
    page.get_by_text("4 training rows, 4 held out; 2 classes").wait_for()
    page.get_by_label("Points are").select_option("curve")
    page.locator(".pad").focus()
    for move in ("ArrowRight", "ArrowUp", "ArrowRight", "ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(move)
        page.keyboard.press("Space")
    page.get_by_text("3 training rows, 3 held out; regression").wait_for()


def test_a_pasted_table(opened):
    page = opened()
    page.get_by_label("Data set").select_option("csv")
    rows = "\n".join(f"{i % 7},{i % 5},{i % 3},{'yes' if i % 7 > 3 else 'no'}" for i in range(60))
    page.get_by_label("or paste it here").fill(f"a,b,c,kind\n{rows}")
    assert page.get_by_label("Target column").input_value() == "kind"
    press(page, "Use this table")
    page.get_by_text("30 training rows, 30 held out; 2 classes").wait_for()
    page.get_by_label("Heat maps over").select_option("two")
    page.locator(".stage").wait_for()
    page.get_by_label("or paste it here").fill("a,kind\n1,x\n2")
    press(page, "Use this table")
    page.get_by_role("alert").wait_for()


def test_a_dropped_table_and_one_that_is_too_large(opened):
    page = opened()
    drop = """text => {
        const data = new DataTransfer();
        data.items.add(new File([text], "cars.csv"));
        document.querySelector(".playground").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    }"""
    page.evaluate(drop, "speed;price\n" + "\n".join(f"{i};{i * 1.5}" for i in range(30)))
    expect(page.get_by_label("Target column")).to_have_value("price")
    press(page, "Use this table")
    page.get_by_text("15 training rows, 15 held out; regression").wait_for()
    page.evaluate(drop, "1,2\n" * 2_000_000)
    expect(page.get_by_role("alert")).to_contain_text("cars.csv has 8,000,000 bytes.")


def test_a_lesson_hides_and_its_goal_lights_up(opened):
    page = opened()
    page.get_by_role("tab", name="Take it home").click()
    page.get_by_role("textbox", name="Task").press_sequentially("Separate the circles.")
    page.get_by_role("textbox", name="Task").blur()
    page.get_by_label("Goal").select_option("val_accuracy")
    page.locator(".goal").wait_for()  # of the network that has it: the fields are made anew with it
    page.get_by_label("loss curves").check()
    expect(page.locator(".curves")).to_be_hidden()
    assert page.locator(".task").inner_text() == "Separate the circles."
    press(page, "Run")
    page.locator(".goal.reached").wait_for(timeout=60_000)


def test_a_click_is_not_lost_to_a_new_network_that_comes_during_it(opened):
    """Leaving a field by pressing a button sends its number; the answer makes the buttons anew before the release."""
    page = opened()
    page.get_by_label("Add penalty").select_option("L2")
    remove = page.get_by_role("button", name="Remove L2")
    remove.wait_for()
    field = page.get_by_label("Batch size")
    field.press("ControlOrMeta+a")
    field.press_sequentially("7")
    remove.hover()
    page.mouse.down()
    page.wait_for_timeout(300)
    page.mouse.up()
    expect(remove).to_be_hidden()


def test_a_click_by_the_space_bar_is_not_lost_either(opened):
    """A button that has the focus is pressed while the answer to another change is on its way."""
    page = opened()
    page.get_by_label("Add penalty").select_option("L2")
    remove = page.get_by_role("button", name="Remove L2")
    remove.focus()
    page.keyboard.down(" ")
    field = page.get_by_label("Batch size")
    field.evaluate("field => { field.value = 7; field.dispatchEvent(new Event('change', { bubbles: true })); }")
    page.wait_for_timeout(1000)
    page.keyboard.up(" ")
    expect(remove).to_be_hidden()


def test_lessons_of_the_menu(opened):
    page = opened()
    page.get_by_label("Open a lesson").select_option("hidden-layer")
    expect(page.locator(".task")).to_contain_text("Add a hidden layer")
    expect(page.locator(".lab")).to_be_hidden()
    page.get_by_role("button", name="Add a hidden layer before the output").click()
    page.get_by_role("button", name="Hidden 1, unit 4", exact=True).wait_for()
    page.get_by_role("button", name="Hidden 1: add a unit").click()
    press(page, "Run")
    page.locator(".goal.reached").wait_for(timeout=60_000)


def test_two_networks_in_step_on_the_same_data(opened):
    page = opened()
    press(page, "Compare")
    second = page.get_by_role("group", name="Second network", exact=True).locator("dd")
    expect(second.first).to_have_text("0")
    enter(page.get_by_label("Learning rate").nth(1), "0.003")
    page.get_by_label("Data set").select_option("spirals-3")
    expect(page.locator(".scale").nth(1).locator(".class")).to_have_count(3)
    expect(second.first).to_have_text("0")
    press(page, "Step")
    expect(second.first).to_have_text("1")
    press(page, "Run")
    expect(second.nth(1)).to_have_text(re.compile(r"[2-9]|\d\d"), timeout=60_000)
    press(page, "Pause")
    page.wait_for_function(
        "() => new Set([...document.querySelectorAll('.readings')].map(one => one.querySelector('dd').textContent)).size === 1",
        timeout=60_000,
    )
    assert second.nth(2).inner_text() != reading(page, "Training loss")
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(set(ids)) == len(ids)
    assert page.evaluate("location.hash.split('.').length") == 2
    other = opened(page.evaluate("location.hash"))
    expect(other.get_by_label("Learning rate").nth(1)).to_have_value("0.003")
    press(page, "Close second network")
    expect(second).to_have_count(0)


def test_phone_and_zoom_do_not_scroll_sideways(opened):
    for width in (320, 390, 640):
        page = opened(width=width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 1280), (False, 390)])
def test_no_accessibility_violation(opened, built, dark, width):
    page = opened(width=width, dark=dark)
    page.get_by_role("button", name="Hidden 1, unit 1", exact=True).click()
    press(page, "Trace")
    page.locator(".operations button").first.wait_for()
    # The page's own rules forbid code from elsewhere: this comes in through the browser's own door.
    page.evaluate((built / "playground/node_modules/axe-core/axe.min.js").read_text(encoding="utf-8"))
    press(page, "Compare")
    page.get_by_role("group", name="Second network", exact=True).locator("dd").first.wait_for()
    page.get_by_role("button", name="Hidden 1, unit 1", exact=True).nth(1).click()
    page.get_by_role("region", name="Second network: Parameters of the unit").wait_for()
    for tab in TABS:
        page.get_by_role("tab", name=tab).click()
        violations = page.evaluate("axe.run().then(found => found.violations.map(one => [one.id, one.nodes[0].html]))")
        assert violations == [], tab


def test_what_is_spoken(opened):
    page = opened()
    press(page, "Step")
    expect(page.locator(".spoken")).to_have_text(re.compile(r"Step 1, Epoch 1, Training loss 0\.\d+, Held-out loss"))


def test_a_wrong_token_is_refused_in_a_sentence(browser, address):
    page = browser.new_page()
    page.goto(address.replace("token=token", "token=wrong"))
    page.get_by_role("alert").wait_for()
    assert "Open the address that chainrule playground printed" in page.get_by_role("alert").inner_text()
    page.close()
