// One training row, step by step: forward, loss, backward, update, each with its equation, numbers, code and checks.
import type { App } from "./app";
import { tint } from "./color";
import { button, digits, field, focused, h, number } from "./dom";
import { asked } from "./entries";
import type { Operation, Trace } from "./protocol";

type Matrix = Operation["arrays"][number];

/** The numbers of an array; `open` is called with the place of one that is chosen. */
function matrix({ name, shape, values, marked }: Matrix, open: ((index: number[]) => void) | null): HTMLElement {
  const columns = shape.length > 1 ? shape.at(-1)! : Math.max(1, shape[0] ?? 1);
  const caption = `${name} (${shape.join(", ")})`;
  if (!values) return h("p", { className: "note" }, `${caption}: too large to show`);
  const limit = Math.max(1e-12, ...values.map((value) => Math.abs(value ?? 0)));
  const rows: HTMLElement[] = [];
  const chosen = marked ? marked.reduce((at, k, axis) => at * (shape[axis] ?? 1) + k, 0) : -1;
  for (let start = 0; start < values.length; start += columns)
    rows.push(h("tr", {}, ...values.slice(start, start + columns).map((value, k) => {
      const now = start + k === chosen;
      const cell = h("td", { className: now ? "marked" : "", "aria-selected": open && String(now) }, value === null ? "NaN" : digits(value, 4));
      if (open) cell.tabIndex = start + k === Math.max(0, chosen) ? 0 : -1;
      if (value) cell.style.boxShadow = `inset 0 -3px ${tint(value, limit)}`;
      return cell;
    })));
  const table = h("table", { className: "matrix", role: open && "grid", "aria-label": open && caption }, h("caption", {}, caption), h("tbody", {}, ...rows));
  if (open) gridKeys(table, columns, (at) => {
    const index: number[] = [];
    for (const length of shape.toReversed()) { index.unshift(at % length); at = Math.floor(at / length); }
    open(index);
  });
  return h("div", { className: "scroll", tabIndex: open ? -1 : 0, role: "region", "aria-label": caption }, table);
}

/** Arrow keys move between cells; Enter, Space or a click chooses one. */
function gridKeys(table: HTMLTableElement, columns: number, choose: (at: number) => void): void {
  const cells = [...table.querySelectorAll("td")];
  const placeOf = (event: Event): number => cells.indexOf(event.target as HTMLTableCellElement);
  table.addEventListener("click", (event) => { if (placeOf(event) >= 0) choose(placeOf(event)); });
  table.addEventListener("keydown", (event) => {
    const at = placeOf(event);
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (at >= 0 && by !== undefined) cells[at + by]?.focus();
    else if (at >= 0 && (event.key === "Enter" || event.key === " ")) choose(at);
    else return;
    event.preventDefault();
  });
}

const exact = (value: number | null): string => (value === null ? "not a number" : String(Number(value.toPrecision(9))).replaceAll("-", "−"));

function detail(step: Operation, opener: (array: Matrix) => ((index: number[]) => void) | null): HTMLElement[] {
  return [
    h("h3", {}, step.title, " ", h("span", { className: "note" }, step.shapes)),
    ...step.equations.map((text) => h("p", { className: "equation" }, text)),
    h("div", { className: "matrices" }, ...step.arrays.map((array) => matrix(array, opener(array)))),
    ...step.worked.map((text) => h("p", { className: "equation worked" }, text)),
    ...step.checks.map((check) => h("p", { className: check.ok ? "checked" : "checked wrong" },
      `${check.ok ? "✓" : "✗"} ${check.entry} = ${exact(check.analytic)}; ${check.quotient} = ${exact(check.numeric)} (${check.measure})`)),
    ...step.code.map((code) => h("figure", {}, h("figcaption", { className: "note" }, code.title), h("pre", { tabIndex: 0, role: "region", "aria-label": code.title }, h("code", {}, code.text)))),
  ];
}

export function traceTab(app: App): HTMLElement {
  const row = number(0, () => ask(), { min: 0, step: 1 });
  const summary = h("p", { className: "note", role: "status" }, "Trace a training row to see every number of its forward pass, its loss, its backward pass and the update. Choose a number to see how it is computed.");
  const list = h("ol", { className: "operations" });
  const shown = h("div", { className: "operation" });
  const body = h("div", { className: "trace" }, list, shown);
  const ask = (): void => app.trace(row.valueAsNumber);
  let trace: Trace | null = null;
  let at = 0;
  let opened = ""; // the array of the number that was opened: it has the focus again

  const opener = (array: Matrix): ((index: number[]) => void) | null => {
    const { steps } = trace!;
    const step = steps[at]!;
    if (!asked(steps, step, array, array.shape.map(() => 0))) return null;
    return (index) => {
      const [layer, entries] = asked(steps, step, array, index)!;
      app.entries[layer] = { ...app.entries[layer], ...entries };
      opened = array.name;
      ask();
    };
  };

  const open = (k: number, focus = false): void => {
    if (!trace) return;
    at = Math.max(0, Math.min(k, trace.steps.length - 1));
    list.querySelectorAll("button").forEach((item, n) => {
      item.setAttribute("aria-current", n === at ? "step" : "false");
      if (n === at && focus) item.focus();
    });
    const step = trace.steps[at]!;
    shown.replaceChildren(...detail(step, opener));
    app.emit("operation", step.layer === null ? null : Number.parseInt(String(step.layer), 10));
  };

  list.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key] ?? 0;
    if (!by) return;
    event.preventDefault();
    open([...list.querySelectorAll("button")].indexOf(event.target as HTMLButtonElement) + by, true);
  });

  app.on("reply", (reply) => {
    if (reply.type !== "trace") return;
    trace = reply;
    row.valueAsNumber = reply.sample;
    summary.textContent = `Row ${reply.sample} at step ${app.frame?.step ?? 0}: the network predicts (${reply.prediction.map((p) => digits(p)).join(", ")}); `
      + `L = ${digits(reply.value, 4)}, and ${reply.value_after === null ? "not a number" : digits(reply.value_after, 4)} after one step on this row alone.`;
    let phase = "";
    list.replaceChildren(...reply.steps.flatMap((step, k) => {
      const item = h("li", {}, button(step.title, () => open(k)));
      if (step.phase === phase) return [item];
      phase = step.phase;
      return [h("li", { className: "phase" }, phase), item];
    }));
    open(at);
    if (!opened) return;
    const { worked, checks } = reply.steps[at]!;
    app.say([...worked, ...checks.map(({ entry, ok, measure }) => `${entry}: ${ok ? "right" : "wrong"}, ${measure}`)].join("; "));
    if (!focused(shown) || focused(shown) === document.body)
      shown.querySelectorAll<HTMLElement>(".matrix").forEach((table) => {
        if (table.ariaLabel?.startsWith(`${opened} (`)) table.querySelector<HTMLElement>("[tabindex='0']")?.focus({ preventScroll: true });
      });
    opened = "";
  });
  app.on("configured", ({ data }) => {
    row.max = String(data.rows - 1);
    trace = null;
    at = 0;
    list.replaceChildren();
    shown.replaceChildren();
  });

  const move = (by: number): void => {
    row.valueAsNumber = Math.max(0, Math.min(Number(row.max), row.valueAsNumber + by));
    ask();
  };
  return h("div", { className: "stack" },
    h("div", { className: "fields" }, field("Training row", row), button("Trace", ask),
      button("Previous row", () => move(-1)), button("Next row", () => move(1)),
      button("Step back", () => open(at - 1)), button("Next step", () => open(at + 1))),
    summary, body);
}
