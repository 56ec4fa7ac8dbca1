// The data: which, how many, how noisy, how much is held out.
import type { App } from "./app";
import { button, checkbox, field, focused, h, keepFocus, number, select, slider } from "./dom";
import { csv, pad } from "./own";
import { suit } from "./suit";

export function data(app: App): HTMLElement {
  const body = h("div", { className: "stack" });
  const about = h("p", { className: "note" });

  let openFile: ((file: File) => void) | null = null;
  let own = ""; // "points" or "csv", while that is being made

  // Functions of one or two inputs, as further inputs.
  const features = (): HTMLElement | string => {
    const count = (app.configured?.data.inputs ?? 64) - (app.configured?.data.features ?? 0);
    if (count > 2) return "";
    const now = app.state.data.features ?? [];
    return h("div", { className: "fields", role: "group", "aria-label": "Features" },
      ...app.catalog.features.filter((name) => count > 1 || !name.includes("y")).map((name) => checkbox(name, now.includes(name), (on) =>
        app.edit((state) => { state.data.features = app.catalog.features.filter((other) => other === name ? on : now.includes(other)); }))));
  };

  const build = (): void => {
    const { data: now } = app.state;
    const names = [...app.catalog.datasets.map(({ name, title }) => [name, title] as const), ["points", "Drawn points"], ["csv", "CSV file"]] as const;
    const drawn = ["points", "csv"].includes(own || now.name);
    const kind = own || now.name;
    const percent = (value: number): string => `${Math.round(100 * value)}%`;
    const table = kind === "csv" ? csv(app) : null;
    openFile = table ? table.open : null;
    body.replaceChildren(
      field("Data set", select(names, kind, (name) => {
        const set = app.catalog.datasets.find((entry) => entry.name === name);
        own = set ? "" : name;
        if (!set) { build(); return; }
        app.edit((state) => {
          state.data.name = name;
          suit(state, set.task, set.outputs);
        });
      })),
      kind === "points" ? pad(app) : kind === "csv" ? table!.element : "",
      drawn ? "" : slider("Rows", now.samples, { min: 20, max: 2000, step: 20 }, String, (value) => app.edit((state) => { state.data.samples = value; })),
      drawn ? "" : slider("Noise", now.noise, { min: 0, max: 1, step: 0.05 }, percent, (value) => app.edit((state) => { state.data.noise = value; })),
      slider("Held out", now.test, { min: 0, max: 0.9, step: 0.1 }, percent, (value) => app.edit((state) => { state.data.test = value; })),
      features(),
      checkbox("Standardize inputs", now.scale, (on) => app.edit((state) => { state.data.scale = on; })),
      h("div", { className: "row end" },
        field("Data seed", number(now.seed, (value) => app.edit((state) => { state.data.seed = value; }), { min: 0, step: 1 })),
        button("New data", () => app.edit((state) => { state.data.seed += 1; }), { title: "Use the next seed" })),
    );
  };

  // A file dropped anywhere on the page is a table.
  app.root.addEventListener("dragover", (event) => event.preventDefault());
  app.root.addEventListener("drop", (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    own = "csv";
    build();
    openFile?.(file);
  });
  app.on("catalog", build);
  app.on("reverted", () => { if (!own) build(); });
  app.on("configured", ({ data: found }) => {
    const active = focused(body);
    const busy = body.contains(active) && !(active instanceof HTMLButtonElement) && !(active instanceof HTMLSelectElement);
    if (!busy && !own) keepFocus(body, build);
    about.textContent = `${found.rows.toLocaleString("en")} training rows, ${found.test_rows.toLocaleString("en")} held out; `
      + (found.classes.length ? `${found.classes.length} classes` : "regression");
  });
  return h("section", { className: "data", "aria-label": "Data" }, h("h2", {}, "Data"), body, about);
}
