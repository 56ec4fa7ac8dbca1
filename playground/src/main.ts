import { App } from "./app";
import { badge, checkTab } from "./check";
import { controls } from "./controls";
import { curves } from "./curves";
import { data } from "./data";
import { button, h } from "./dom";
import { exploreTab } from "./explore";
import { lesson } from "./lesson";
import { network } from "./network";
import { output } from "./output";
import { panel } from "./panel";
import { tabs } from "./tabs";
import { takeHomeTab } from "./takehome";
import { traceTab } from "./trace";
import { training } from "./training";
import { SocketTransport } from "./transport";
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

document.body.append(
  h("header", {}, h("h1", {}, "chainrule ", h("span", {}, "playground")), controls(app), badge(app, openCheck)),
  alert,
  note,
  h("main", {},
    lesson(app),
    training(app),
    h("div", { className: "columns" },
      data(app),
      h("div", { className: "middle" }, network(app), panel(app)),
      h("div", { className: "right" }, output(app), curves(app))),
    lab.element),
  live,
);

const address = new URL(`ws${location.search}`, location.href);
address.protocol = address.protocol.replace("http", "ws");
address.hash = "";
app.connect((listener) => new SocketTransport(address, listener));

// A link pasted over this one.
addEventListener("hashchange", () => void app.follow(location.hash));
