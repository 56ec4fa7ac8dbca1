// The panel under the network: a unit's numbers, or a layer's settings.
import type { App } from "./app";
import { activation, blocks } from "./blocks";
import { paintCurve, paintGrid } from "./color";
import { button, digits, field, focused, h, keepFocus, number, select } from "./dom";
import { fields, fresh } from "./form";
import { limitOf, unitGrid } from "./network";

export function panel(app: App): HTMLElement {
  const body = h("div", { className: "body" });
  let refresh = (): void => undefined;

  const layer = (k: number): void => {
    const info = app.configured!.layers[k]!;
    const part = app.state.network.layers[k] ?? { type: info.type };
    const parameters = Object.entries(info.parameters).map(([name, shape]) => `${name} (${shape.join(", ")})`).join(", ");
    const last = k === app.configured!.layers.length - 1;
    const edited = (): void => app.edit(() => undefined);
    const own = fields(app, "layers", part, edited, last ? ["units"] : []);
    body.replaceChildren(
      h("h3", {}, `Layer ${k}: ${info.title}`),
      h("p", { className: "note" }, `${info.input.join(" × ")} → ${info.output.join(" × ")}`, parameters ? `; parameters ${parameters}` : "; no parameters",
        `. ${app.known("layers", info.type)?.summary ?? ""} `, h("code", {}, info.file)),
      h("div", { className: "fields" }, ...own,
        field("Add a layer after it", select(
          [["", "choose"], ...app.catalog.layers.map(({ type }) => [type, type] as const)], "",
          (type) => app.edit((state) => {
            const part = fresh(app, "layers", type);
            const inner = [{ type: "Dense", units: info.output.at(-1) }, { type: "Tanh" }];
            state.network.layers.splice(k + 1, 0, type === "Residual" ? { type, layers: inner } : part);
          }),
        )),
        last ? null : button("Remove layer", () => app.edit((state) => { state.network.layers.splice(k, 1); })),
        button("Close", () => app.select(null))),
    );
    refresh = () => undefined;
  };

  const unit = (k: number, j: number): void => {
    const list = blocks(app);
    const column = list.findIndex((block) => block.first === k);
    const block = list[column];
    const info = app.configured!.layers[k]!;
    if (!block) return;
    const acts = activation(app, block);
    const canvas = h("canvas", { width: 50, height: 50 });
    const range = h("p", { className: "note" });
    const equation = h("p", { className: "equation" });
    const shape = info.parameters.W;
    const before = list[column - 1];
    const source = (i: number): string => (before ? `a${i + 1}` : app.configured!.data.names[i]!);
    const rows: { name: string; at: number; layer: number; index: number[]; title: string; symbol: string }[] = [];
    if (shape?.length === 2)
      for (let i = 0; i < shape[0]!; i += 1)
        rows.push({ name: "W", at: i * shape[1]! + j, layer: k, index: [i, j], title: `weight from ${before ? `unit ${i + 1}` : source(i)}`, symbol: source(i) });
    if (info.parameters.b) rows.push({ name: "b", at: j, layer: k, index: [j], title: "bias", symbol: "" });
    const sum = rows.length; // what the equation shows; then the parameters of the layers after it
    for (let layer = block.first; layer <= block.last; layer += 1)
      for (const [name, [length, ...more]] of Object.entries(app.configured!.layers[layer]!.parameters))
        if (!more.length && !(layer === k && name === "b")) {
          const at = length === 1 ? 0 : j;
          rows.push({ name, at, layer, index: [at], title: `${name} of ${app.configured!.layers[layer]!.type}`, symbol: "" });
        }
    const optimizer = app.state.training.optimizer;
    const slots = app.known("optimizers", optimizer.type)?.slots ?? [];
    // Moments that start at 0 are corrected for it: m̂ = m / (1 − β₁ᵗ).
    const decays = slots.includes("m") && slots.includes("v") ? [["m", optimizer.beta_1], ["v", optimizer.beta_2]] as [string, number][] : [];
    const cells = rows.map((row) => {
      const input = number(0, (value) => {
        app.send({ type: "set", layer: row.layer, name: row.name, index: row.index, value });
        app.say(`${row.title} set to ${digits(value)}`);
      }, { "aria-label": row.title });
      return { row, input, gradient: h("td"), memory: slots.map(() => h("td")), corrected: decays.map(() => h("td")) };
    });
    const table = h("table", { className: "numbers" },
      h("thead", {}, h("tr", {}, ...["parameter", "value", "gradient", ...slots, ...decays.map(([slot]) => `${slot}\u0302`)].map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, ...cells.map(({ row, input, gradient, memory, corrected }) =>
        h("tr", {}, h("th", { scope: "row" }, row.title), h("td", {}, input), gradient, ...memory, ...corrected))));
    body.replaceChildren(
      h("div", { className: "row" },
        h("h3", {}, `${column === list.length - 1 ? "Output" : `Hidden ${column + 1},`} unit ${j + 1}`),
        button("Close", () => app.select(null))),
      h("div", { className: "unit-panel" }, h("div", {}, canvas, range), h("div", { className: "grow" }, equation, h("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": app.named("Parameters of the unit") }, table))),
    );
    refresh = () => {
      const { frame } = app;
      if (!frame) return;
      const grid = unitGrid(app, block.last, j);
      canvas.hidden = range.hidden = !grid;
      if (grid) {
        const limit = limitOf(grid);
        (app.box!.shape[0] === 1 ? paintCurve : paintGrid)(canvas, grid, limit);
        range.textContent = `Scale: −${digits(limit, 1)} to ${digits(limit, 1)}`;
      }
      let text = "";
      for (const [n, { row, input, gradient, memory, corrected }] of cells.entries()) {
        const value = frame.values.get(`${row.name}/${row.layer}`)?.data[row.at] ?? NaN;
        if (focused(input) !== input) input.value = String(Number(value.toPrecision(5)));
        const slope = frame.values.get(`d${row.name}/${row.layer}`)?.data[row.at];
        gradient.textContent = slope === undefined ? "" : digits(slope, 4);
        memory.forEach((cell, m) => {
          const kept = frame.values.get(`${slots[m]!}.${row.name}/${row.layer}`)?.data[row.at];
          cell.textContent = kept === undefined ? "" : digits(kept, 4);
        });
        corrected.forEach((cell, m) => {
          const [slot, decay] = decays[m]!;
          const kept = frame.values.get(`${slot}.${row.name}/${row.layer}`)?.data[row.at];
          cell.textContent = kept === undefined || !frame.step ? "" : digits(kept / (1 - decay ** frame.step), 4);
        });
        if (n >= sum) continue;
        if (text.length < 160) text += `${text ? (value < 0 ? " − " : " + ") : value < 0 ? "−" : ""}${digits(Math.abs(value), 2)}${row.symbol ? `·${row.symbol}` : ""}`;
        else if (!text.endsWith("…")) text += " + …";
      }
      equation.textContent = !sum ? "" : acts ? `a = ${acts.type}(${text})` : `y = ${text}`;
    };
    refresh();
  };

  const open = (): void => {
    const { selected } = app;
    keepFocus(body, show);
    if (selected?.source !== undefined) {
      const input = body.querySelectorAll<HTMLInputElement>(".numbers input")[selected.source];
      input?.focus();
      input?.select();
      delete selected.source;
    }
  };

  const show = (): void => {
    const { selected } = app;
    if (!selected || !app.configured) {
      body.replaceChildren(h("p", { className: "note" }, "Choose a unit to read and edit its weights, or a layer's name to change its settings."));
      refresh = () => undefined;
    } else if (selected.unit === null) layer(selected.layer);
    else unit(selected.layer, selected.unit);
  };

  app.on("selected", open);
  app.on("reverted", open);
  app.on("configured", open);
  app.on("frame", () => refresh());
  return h("section", { className: "panel", "aria-label": app.named("Chosen unit or layer") }, body);
}
