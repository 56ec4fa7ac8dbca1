import { decodeState, encodeState } from "./address";
import { App } from "./app";
import { badge, checkTab } from "./check";
import { controls, readings } from "./controls";
import { curves } from "./curves";
import { data } from "./data";
import { button, h } from "./dom";
import { exploreTab } from "./explore";
import { lesson } from "./lesson";
import { network } from "./network";
import { output } from "./output";
import { pair } from "./pair";
import { panel } from "./panel";
import { tabs } from "./tabs";
import { takeHomeTab } from "./takehome";
import { traceTab } from "./trace";
import { training } from "./training";
import type { State } from "./protocol";
import { SocketTransport, type Listener, type Transport } from "./transport";
import "./playground.css";

const app = new App();

const live = h("p", { className: "spoken", role: "status", "aria-live": "polite" });
app.on("said", (text) => { live.textContent = text; });

const refusal = h("p", { className: "text" });
const alert = h("div", { className: "alert", role: "alert", hidden: true }, refusal, button("Dismiss", () => { alert.hidden = true; }));
const refuse = (text: string): void => { refusal.textContent = text; alert.hidden = false; };
app.on("refused", ({ text }) => refuse(text));
app.on("closed", refuse);
const advice = h("p", { className: "text" });
const note = h("div", { className: "alert note", role: "status", hidden: true }, advice, button("Dismiss", () => { note.hidden = true; }));
app.on("note", (text) => { advice.textContent = text; note.hidden = false; });
app.on("configured", () => { alert.hidden = note.hidden = true; });

const lab = tabs("Look closer", {
  "Step by step": traceTab(app),
  "Check and break": checkTab(app),
  "Sweep and surface": exploreTab(app),
  "Take it home": takeHomeTab(app),
});
app.on("traced", () => lab.open("Step by step"));
const openCheck = (): void => {
  lab.open("Check and break");
  lab.element.scrollIntoView();
};

const address = new URL(`ws${location.search}`, location.href);
address.protocol = address.protocol.replace("http", "ws");
address.hash = "";
const socket = (listener: Listener): Transport => new SocketTransport(address, listener);
const middle = (one: App): HTMLElement => h("div", { className: "middle" }, network(one), panel(one));
const right = (one: App): HTMLElement => h("div", { className: "right" }, output(one), curves(one));

// The address holds the state, or the states of two networks.
let second: App | null = null;
const remember = async (): Promise<void> => {
  const states = [app, second].flatMap((one) => (one?.configured ? [one.configured.state] : []));
  const texts = await Promise.all(states.map(encodeState));
  history.replaceState(null, "", `#${texts.join(".")}`);
};

const main = h("main", {},
  lesson(app),
  training(app),
  h("div", { className: "columns" }, data(app), middle(app), right(app)),
  lab.element);
let part = (): void => undefined;
const compare = button("Compare", () => { if (second) part(); else open(null); }, { title: "Train a second network on the same data, in step" });

/** Open a second network beside the first, with a state or with that of the first. */
function open(state: State | null): void {
  const other = (second = new App());
  other.on("said", (text) => { live.textContent = `Second network: ${text}`; });
  other.on("refused", ({ text }) => refuse(`Second network: ${text}`));
  other.on("closed", (text) => refuse(`Second network: ${text}`));
  const numbers = readings(other, "Second network");
  const parts = [training(other), middle(other), right(other)];
  for (const one of parts) {
    one.classList.add("other");
    for (const named of [one, ...one.querySelectorAll("section, [role=region]")])
      if (named.ariaLabel) named.ariaLabel = `Second network: ${named.ariaLabel}`;
  }
  lab.element.before(...parts);
  bar.append(numbers);
  main.classList.add("pair");
  compare.textContent = "Close second network";
  const apart = pair(app, other);
  part = (): void => {
    apart();
    for (const one of [...parts, numbers]) one.remove();
    main.classList.remove("pair");
    compare.textContent = "Compare";
    second = null;
    void remember();
  };
  other.on("configured", () => void remember());
  other.connect(socket, async () => structuredClone(state ?? app.state));
}

const bar = h("header", {}, h("h1", {}, "chainrule ", h("span", {}, "playground")), controls(app), compare, badge(app, openCheck));
document.body.append(bar, alert, note, main, live);

const begin = location.hash;
app.on("configured", () => void remember());
app.connect(socket, () => decodeState(begin));
void decodeState(begin, 1).then((state) => { if (state) open(state); });

// A link pasted over this one.
addEventListener("hashchange", () => void app.follow(location.hash));
