// The page, put together: for a browser's tab, and for a cell of a notebook.
import { encodeState } from "./address";
import { App } from "./app";
import { badge, checkTab } from "./check";
import { isDark, onTheme } from "./color";
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
import type { Listener, Transport } from "./transport";

/** What the two places of the page do in their own ways. */
export interface Place {
  landmarks: boolean; // whether the page is a document of its own, not a part of one
  open(listener: Listener): Transport;
  initial(which: number): Promise<State | null>; // of the first network (0) and the second (1)
  remember(fragment: string): void;
  link(fragment: string): string;
}

/** Build the page into `root`; returns its first network, and what ends it. */
export function mount(root: HTMLElement, place: Place): { app: App; close: () => void } {
  const app = new App(root);
  const theme = (): void => { root.toggleAttribute("data-dark", isDark()); };
  theme();
  onTheme(theme, app.left);

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

  const middle = (one: App): HTMLElement => h("div", { className: "middle" }, network(one), panel(one));
  const right = (one: App): HTMLElement => h("div", { className: "right" }, output(one), curves(one));

  // A link holds the state, or the states of two networks.
  let second: App | null = null;
  let fragment = "";
  const remember = async (): Promise<void> => {
    const states = [app, second].flatMap((one) => (one?.configured ? [one.configured.state] : []));
    fragment = `#${(await Promise.all(states.map(encodeState))).join(".")}`;
    place.remember(fragment);
  };
  app.link = () => place.link(fragment);

  const main = h(place.landmarks ? "main" : "div", { className: "main" },
    lesson(app),
    training(app),
    h("div", { className: "columns" }, data(app), middle(app), right(app)),
    lab.element);
  let part = (): void => undefined;
  const compare = button("Compare", () => { if (second) part(); else open(null); }, { title: "Train a second network on the same data, in step" });

  /** Open a second network beside the first, with a state or with that of the first. */
  function open(state: State | null): void {
    const other = (second = new App(root, "Second network"));
    other.on("said", (text) => { live.textContent = other.named(text); });
    other.on("refused", ({ text }) => refuse(other.named(text)));
    other.on("closed", (text) => refuse(other.named(text)));
    const numbers = readings(other, "Second network");
    const parts = [training(other), middle(other), right(other)];
    for (const one of parts) one.classList.add("other");
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
    other.connect(place.open, async () => structuredClone(state ?? app.state));
  }

  const bar = h(place.landmarks ? "header" : "div", { className: "bar" },
    h("h1", {}, "chainrule ", h("span", {}, "playground")), controls(app), compare, badge(app, openCheck));
  root.append(bar, alert, note, main, live);

  app.on("configured", () => void remember());
  app.connect(place.open, () => place.initial(0));
  void place.initial(1).then((state) => { if (state) open(state); });
  return { app, close: () => { second?.close(); app.close(); } };
}
