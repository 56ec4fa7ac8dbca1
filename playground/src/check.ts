// The check of the gradient, its badge, and a layer's backward to break.
import type { App } from "./app";
import { button, field, fresh, h, select } from "./dom";
import type { Verdict } from "./protocol";

const MOST_PARAMETERS = 2000; // beyond, the check runs only when it is asked for
const EVERY = 5000; // milliseconds from a check to the next while training runs

/** The badge in the header: whether the gradient of this network is right. */
export function badge(app: App, open: () => void): HTMLElement {
  const element = button("Gradient not checked", open, { className: "badge" });
  let timer = 0;
  const show = (text: string, state: string): void => {
    element.textContent = text;
    element.dataset.state = state;
  };
  // The next check follows the answer to the last: where a check is slow, the network trains between two.
  const later = (): void => {
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      if (app.running && !document.hidden && (app.configured?.parameters ?? Infinity) <= MOST_PARAMETERS) app.send({ type: "check" });
      else later();
    }, EVERY);
  };
  app.on("configured", ({ parameters }) => {
    show("Gradient not checked", "");
    clearTimeout(timer);
    if (parameters <= MOST_PARAMETERS) timer = window.setTimeout(() => app.send({ type: "check" }), 300);
  });
  app.on("refused", later);
  app.on("reply", (reply) => {
    if (reply.type !== "verdict") return;
    show(reply.ok ? "✓ Gradient right" : "✗ Gradient wrong", reply.ok ? "right" : "wrong");
    later();
  });
  app.left.addEventListener("abort", () => clearTimeout(timer));
  return element;
}

export function checkTab(app: App): HTMLElement {
  const text = h("p", { className: "verdict" });
  const table = h("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Result by parameter" });
  const editor = h("textarea", { className: "code", rows: 14, spellcheck: false });
  const layers = h("span", {});
  const mistakes = h("div", { className: "fields", role: "group", "aria-label": "Planted mistakes" });
  let layer = 0;
  let asked = false; // by a person, who hears the answer; not by the badge

  const verdict = (found: Verdict): void => {
    text.textContent = found.text;
    if (asked) app.say(found.text);
    asked = false;
    text.classList.toggle("wrong", !found.ok);
    table.replaceChildren(h("table", { className: "numbers" },
      h("thead", {}, h("tr", {}, ...["parameter", "verdict", "relative error"].map((title) => h("th", { scope: "col" }, title)))),
      h("tbody", {}, ...found.parameters.map(({ name, layer: at, state, error }) => h("tr", {},
        h("th", { scope: "row" }, `layer ${at}, ${name}`), h("td", {}, state), h("td", {}, error === null ? "" : error.toExponential(1)))))));
  };

  const choose = (k: number): void => {
    layer = k;
    const type = app.state.network.layers[k]?.type ?? "";
    const source = app.known("layers", type)?.source ?? "";
    editor.value = source;
    mistakes.replaceChildren(...app.catalog.mistakes.filter((mistake) => mistake.layer === type).map(({ title, source: wrong }) =>
      button(title, () => {
        editor.value = wrong;
        apply();
      })));
  };
  const apply = (): void => {
    asked = true;
    app.send({ type: "backward", layer, source: editor.value });
  };

  let shape = "";
  app.on("configured", ({ layers: now }) => {
    text.textContent = "";
    table.replaceChildren();
    const key = now.map(({ type }) => type).join();
    const options = now.flatMap(({ type, title, edited }, k) =>
      app.known("layers", type)?.editable ? [[String(k), `${k}: ${title}${edited ? " (edited)" : ""}`] as const] : []);
    if (key !== shape) layer = Number(options[0]?.[0] ?? 0);
    layers.replaceChildren(field("Layer", select(options, String(layer), (k) => choose(Number(k)))));
    if (key !== shape) choose(layer);
    shape = key;
  });
  app.on("reply", (reply) => { if (reply.type === "verdict") verdict(reply); });

  editor.id = fresh("source");
  return h("div", { className: "two" },
    h("div", { className: "stack" },
      h("h3", {}, "Break a layer's backward pass"),
      h("p", { className: "note" }, "Plant a mistake, or edit the code. Training starts over with it, and the gradient is checked again."),
      layers, mistakes,
      h("div", { className: "field" }, h("label", { htmlFor: editor.id }, "Source of backward"), editor),
      h("div", { className: "fields" },
        button("Use this code", apply),
        button("Restore", () => { choose(layer); app.send({ type: "backward", layer, source: null }); }))),
    h("div", { className: "stack" },
      h("h3", {}, "Gradient check"),
      h("p", { className: "note" }, "Compares the gradient of every parameter with finite differences of the loss."),
      h("div", {}, button("Check the gradient", () => { asked = true; app.send({ type: "check" }); })),
      text, table));
}

