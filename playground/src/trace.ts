// One training row, step by step: forward, loss, backward, update, each with its equation, numbers, code and checks.
import type { App } from "./app";
import { tint } from "./color";
import { button, digits, field, h, number } from "./dom";
import type { Operation, Trace } from "./protocol";

function matrix({ name, shape, values, marked }: Operation["arrays"][number]): HTMLElement {
  const columns = shape.length > 1 ? shape.at(-1)! : Math.max(1, shape[0] ?? 1);
  const caption = `${name} (${shape.join(", ")})`;
  if (!values) return h("p", { className: "note" }, `${caption}: too large to show`);
  const limit = Math.max(1e-12, ...values.map((value) => Math.abs(value ?? 0)));
  const rows: HTMLElement[] = [];
  const chosen = marked ? marked.reduce((at, k, axis) => at * (shape[axis] ?? 1) + k, 0) : -1;
  for (let start = 0; start < values.length; start += columns)
    rows.push(h("tr", {}, ...values.slice(start, start + columns).map((value, k) => {
      const cell = h("td", { className: start + k === chosen ? "marked" : "" }, value === null ? "NaN" : digits(value, 4));
      if (value) cell.style.boxShadow = `inset 0 -3px ${tint(value, limit)}`;
      return cell;
    })));
  return h("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": caption },
    h("table", { className: "matrix" }, h("caption", {}, caption), h("tbody", {}, ...rows)));
}

const exact = (value: number | null): string => (value === null ? "not a number" : String(Number(value.toPrecision(9))).replaceAll("-", "−"));

function detail(step: Operation): HTMLElement[] {
  return [
    h("h3", {}, step.title, " ", h("span", { className: "note" }, step.shapes)),
    ...step.equations.map((text) => h("p", { className: "equation" }, text)),
    h("div", { className: "matrices" }, ...step.arrays.map(matrix)),
    ...step.worked.map((text) => h("p", { className: "equation worked" }, text)),
    ...step.checks.map((check) => h("p", { className: check.ok ? "checked" : "checked wrong" },
      `${check.ok ? "✓" : "✗"} ${check.entry} = ${exact(check.analytic)}; ${check.quotient} = ${exact(check.numeric)} (${check.measure})`)),
    ...step.code.map((code) => h("figure", {}, h("figcaption", { className: "note" }, code.title), h("pre", { tabIndex: 0, role: "region", "aria-label": code.title }, h("code", {}, code.text)))),
  ];
}

export function traceTab(app: App): HTMLElement {
  const row = number(0, () => ask(), { min: 0, step: 1 });
  const summary = h("p", { className: "note", role: "status" }, "Trace a training row to see every number of its forward pass, its loss, its backward pass and the update.");
  const list = h("ol", { className: "operations" });
  const shown = h("div", { className: "operation" });
  const body = h("div", { className: "trace" }, list, shown);
  const ask = (): void => app.trace(row.valueAsNumber);
  let trace: Trace | null = null;
  let at = 0;

  const open = (k: number, focus = false): void => {
    if (!trace) return;
    at = Math.max(0, Math.min(k, trace.steps.length - 1));
    list.querySelectorAll("button").forEach((item, n) => {
      item.setAttribute("aria-current", n === at ? "step" : "false");
      if (n === at && focus) item.focus();
    });
    const step = trace.steps[at]!;
    shown.replaceChildren(...detail(step));
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
