// The data: which, how many, how noisy, how much is held out.
import type { App } from "./app";
import { button, checkbox, field, h, number, select } from "./dom";
import type { State } from "./protocol";

/** Give the network the output units and the loss that a data set asks for. */
export function suit(state: State, task: "classes" | "regression", outputs: number): void {
  const { layers } = state.network;
  const last = layers.findLast(({ type }) => type === "Dense");
  if (last) last.units = outputs;
  state.network.loss = task === "regression" ? "squared_error" : outputs > 1 ? "softmax_cross_entropy" : "sigmoid_cross_entropy";
}

function slider(
  label: string, value: number, range: { min: number; max: number; step: number }, text: (value: number) => string,
  changed: (value: number) => void,
): HTMLElement {
  const reading = h("output", {}, text(value));
  const input = h("input", { type: "range", ...range });
  input.valueAsNumber = value;
  input.setAttribute("aria-valuetext", text(value));
  input.addEventListener("input", () => {
    reading.textContent = text(input.valueAsNumber);
    input.setAttribute("aria-valuetext", text(input.valueAsNumber));
    changed(input.valueAsNumber);
  });
  const made = field(label, input);
  made.classList.add("slider");
  made.firstElementChild!.append(reading);
  return made;
}

export function data(app: App): HTMLElement {
  const body = h("div", { className: "stack" });
  const about = h("p", { className: "note" });

  const build = (): void => {
    const { data: now } = app.state;
    const names = app.catalog.datasets.map(({ name, title }) => [name, title] as const);
    const percent = (value: number): string => `${Math.round(100 * value)}%`;
    body.replaceChildren(
      field("Data set", select(names, now.name, (name) => app.edit((state) => {
        state.data.name = name;
        const set = app.catalog.datasets.find((entry) => entry.name === name)!;
        suit(state, set.task, set.outputs);
      }))),
      slider("Rows", now.samples, { min: 20, max: 2000, step: 20 }, String, (value) => app.edit((state) => { state.data.samples = value; })),
      slider("Noise", now.noise, { min: 0, max: 1, step: 0.05 }, percent, (value) => app.edit((state) => { state.data.noise = value; })),
      slider("Held out", now.test, { min: 0, max: 0.9, step: 0.1 }, percent, (value) => app.edit((state) => { state.data.test = value; })),
      checkbox("Standardize inputs", now.scale, (on) => app.edit((state) => { state.data.scale = on; })),
      h("div", { className: "row end" },
        field("Data seed", number(now.seed, (value) => app.edit((state) => { state.data.seed = value; }), { min: 0, step: 1 })),
        button("New data", () => app.edit((state) => { state.data.seed += 1; }), { title: "Use the next seed" })),
    );
  };

  app.on("catalog", build);
  app.on("configured", ({ data: found }) => {
    if (!body.contains(document.activeElement)) build();
    about.textContent = `${found.rows.toLocaleString("en")} training rows, ${found.test_rows.toLocaleString("en")} held out; `
      + (found.classes.length ? `${found.classes.length} classes` : "regression");
  });
  return h("section", { className: "data", "aria-labelledby": "data-title" }, h("h2", { id: "data-title" }, "Data"), body, about);
}
