// What the network answers everywhere on the plane, with the points it learns from and those it never sees.
import type { App } from "./app";
import { classColor, onTheme, paintClasses, paintGrid, tint } from "./color";
import { checkbox, digits, field, focused, h, keepFocus, select, slider } from "./dom";

const SIZE = 320;
const SOFT = 1.6; // the map is paler than the points on it

/** The middle and half the range of the targets: what the scale of colors shows. */
export function targetRange(app: App): [number, number] {
  const t = app.data?.values.get("t")?.data;
  if (!t?.length) return [0, 1];
  let low = Infinity;
  let high = -Infinity;
  for (const value of t) { low = Math.min(low, value); high = Math.max(high, value); }
  return [(low + high) / 2, (high - low) / 2 || 1];
}

export function output(app: App): HTMLElement {
  const map = h("canvas", { className: "map", width: 50, height: 50 });
  const points = h("canvas", { className: "points" });
  const stage = h("div", { className: "stage", role: "img", title: "Click a training point to trace it step by step" }, map, points);
  const legend = h("div", { className: "scale" });
  const confusion = h("div", { className: "confusion scroll", tabIndex: 0, role: "region", "aria-label": app.named("Confusion matrix") });
  const horizontal = h("span", { className: "axis x" });
  const vertical = h("span", { className: "axis y" });
  const looking = h("div", { className: "fields" });
  let discrete = false;
  let held = true;

  const several = (): boolean => (app.configured?.outputs ?? 1) > 1 && app.configured!.data.classes.length > 2;

  const paint = (): void => {
    const grid = app.frame?.values.get("output");
    const { box } = app;
    if (!grid || !box) return;
    if (box.shape[0] === 1) { drawPoints(); return; }
    const [middle, half] = targetRange(app);
    if (several()) { paintClasses(map, grid.data, grid.shape[0]!, discrete); return; }
    const cells = box.shape[0]! * box.shape[1]!;
    const source = grid.data;
    const two = grid.shape[0] === 2;
    const values = Float32Array.from({ length: cells }, (_, k) =>
      two ? source[cells + k]! - source[k]! : (source[k]! - middle) / half);
    paintGrid(map, values, SOFT, discrete);
  };

  const drawPoints = (): void => {
    const { box, data } = app;
    const ratio = window.devicePixelRatio || 1;
    points.width = points.height = SIZE * ratio;
    const context = points.getContext("2d")!;
    context.scale(ratio, ratio);
    if (!box || !data) return;
    const places = data.values.get("place")!;
    const t = data.values.get("t")!;
    const test = data.values.get("test")!;
    const [middle, half] = targetRange(app);
    const curve = box.shape[0] === 1;
    const low = middle - 1.25 * half;
    const share = (value: number, [from, to]: number[]): number => ((value - from!) / (to! - from!)) * SIZE;
    const up = (value: number): number => SIZE - share(value, curve ? [low, low + 2.5 * half] : box.y!);
    const style = getComputedStyle(points);
    const dot = style.getPropertyValue("--positive");
    const rim = style.getPropertyValue("--rim");
    const width = t.shape[1] ?? 1;
    const target = (row: number): number => {
      if (width === 1) return t.data[row]!;
      let best = 0;
      for (let k = 1; k < width; k += 1) if (t.data[row * width + k]! > t.data[row * width + best]!) best = k;
      return best;
    };
    const at = (row: number): [number, number] => curve
      ? [share(places.data[row]!, box.x), up(target(row))]
      : [share(places.data[2 * row]!, box.x), up(places.data[2 * row + 1]!)];
    for (const wanted of [1, 0]) {
      if (wanted && !held) continue;
      for (let row = 0; row < places.shape[0]!; row += 1) {
        if (test.data[row] !== wanted) continue;
        const value = target(row);
        const color = several() ? classColor(value) : curve ? dot : tint((value - middle) / half, 1);
        context.beginPath();
        context.arc(...at(row), wanted ? 2.5 : 3.5, 0, 2 * Math.PI);
        context.fillStyle = wanted ? rim : color;
        context.strokeStyle = wanted ? color : rim;
        context.lineWidth = wanted ? 1.5 : 1;
        context.fill();
        context.stroke();
      }
    }
    if (app.traced !== null && app.traced < places.shape[0]!) {
      context.beginPath();
      context.arc(...at(app.traced), 7, 0, 2 * Math.PI);
      context.lineWidth = 2;
      context.strokeStyle = style.color;
      context.stroke();
    }
    const grid = app.frame?.values.get("output");
    if (!curve || !grid) return;
    context.beginPath();
    grid.data.forEach((value, k) => context.lineTo((k / (grid.data.length - 1)) * SIZE, up(value)));
    context.lineWidth = 2.5;
    context.strokeStyle = style.color;
    context.stroke();
  };

  // A click traces the nearest training row.
  stage.addEventListener("click", (event) => {
    const places = app.data?.values.get("place")?.data;
    const { box } = app;
    if (!places || !box?.y) return;
    const frame = stage.getBoundingClientRect();
    const x = box.x[0]! + ((event.clientX - frame.left) / frame.width) * (box.x[1]! - box.x[0]!);
    const y = box.y[1]! - ((event.clientY - frame.top) / frame.height) * (box.y[1]! - box.y[0]!);
    const test = app.data!.values.get("test")!.data;
    let nearest = 0;
    let least = Infinity;
    for (let row = 0; row < test.length && !test[row]; row += 1) {
      const gap = (places[2 * row]! - x) ** 2 + (places[2 * row + 1]! - y) ** 2;
      if (gap < least) [least, nearest] = [gap, row];
    }
    app.trace(nearest);
  });

  const describe = (): void => {
    const { box, configured } = app;
    if (!configured) return;
    const { classes } = configured.data;
    const [middle, half] = targetRange(app);
    legend.replaceChildren(...(several()
      ? classes.map((name, k) => {
        const key = h("span", { className: "swatch" });
        key.style.background = classColor(k);
        return h("span", { className: "class" }, key, name);
      })
      : [h("span", {}, classes[0] ?? digits(middle - half, 2)), h("span", { className: "ramp" }), h("span", {}, classes[1] ?? digits(middle + half, 2))]));
    decision.hidden = !classes.length;
    const curve = box?.shape[0] === 1;
    horizontal.textContent = box?.names[0] ?? "";
    vertical.textContent = curve ? "target" : (box?.names[1] ?? "");
    stage.classList.toggle("line", curve);
    stage.parentElement!.hidden = switches.hidden = box === null;
    legend.hidden = box === null || curve;
    stage.setAttribute("aria-label",
      `Predictions over ${box?.names.join(" and ") ?? "the inputs"}, with ${configured.data.rows} training and ${configured.data.test_rows} held-out points`);
  };

  // More than two inputs: the plane of principal components, or that of two inputs, and where it cuts the others.
  const look = (): void => {
    const { box, configured, data } = app;
    if (!configured || !data) return;
    const count = configured.data.inputs - configured.data.features;
    const names = configured.data.names.slice(0, count);
    looking.hidden = count < 3;
    if (looking.hidden || looking.contains(focused(looking)) && focused(looking) instanceof HTMLInputElement) return;
    const send = (columns: [] | [number, number] | null, slice: number[] | null = null): void => app.send({ type: "look", columns, slice });
    const kinds = [["", "none"], ["pca", "principal components"], ["two", "two inputs"]] as const;
    const options = names.map((name, k) => [String(k), name] as const);
    const chosen = box?.columns.slice() ?? [];
    const cut = box?.slice.slice() ?? [];
    const X = data.values.get("X")!;
    const range = (k: number): { min: number; max: number; step: number } => {
      const column = X.data.filter((_, at) => at % X.shape[1]! === k);
      const [min, max] = [Math.min(...column), Math.max(...column)];
      return { min, max, step: (max - min) / 100 || 1 };
    };
    const build = (): void => looking.replaceChildren(
      field("Heat maps over", select(kinds, !box ? "" : chosen.length ? "two" : "pca",
        (kind) => send(!kind ? null : kind === "pca" ? [] : [0, 1]))),
      ...(chosen.length ? ["Across", "Up"] : []).map((title, k) => field(title, select(options, String(chosen[k]), (value) => {
        if (chosen[1 - k] === Number(value)) chosen[1 - k] = chosen[k]!;
        chosen[k] = Number(value);
        send([chosen[0]!, chosen[1]!]);
      }))),
      ...(chosen.length && count <= 10 ? names.flatMap((name, k) => {
        if (chosen.includes(k)) return [];
        const span = range(k);
        return [slider(name, cut[k]!, span, (value) => digits(Math.abs(value) < span.step / 2 ? 0 : value, 2),
          (value) => { cut[k] = value; send([chosen[0]!, chosen[1]!], cut); })];
      }) : []));
    keepFocus(looking, build);
  };

  const confuse = (): void => {
    const counts = app.frame?.values.get("confusion");
    const classes = app.configured?.data.classes ?? [];
    confusion.hidden = !counts || classes.length < 2;
    if (!counts || confusion.hidden) return;
    const size = classes.length;
    let table = confusion.querySelector("table");
    if (table?.rows.length !== size + 1) {
      table = h("table", {},
        h("caption", {}, "Confusion matrix, held-out rows"),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "actual \\ predicted"), ...classes.map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, ...classes.map((name) => h("tr", {}, h("th", { scope: "row" }, name), ...classes.map(() => h("td"))))));
      confusion.replaceChildren(table);
    }
    confusion.classList.toggle("many", size > 6);
    const cells = table.querySelectorAll("td");
    counts.data.forEach((count, k) => {
      const cell = cells[k]!;
      cell.textContent = String(count);
      cell.className = count === 0 ? "none" : Math.floor(k / size) === k % size ? "right" : "wrong";
    });
  };

  app.on("configured", () => confusion.replaceChildren());
  app.on("data", () => { describe(); look(); drawPoints(); });
  app.on("traced", drawPoints);
  app.on("frame", () => { paint(); confuse(); });
  onTheme(() => { paint(); drawPoints(); }, app.left);

  const decision = checkbox("Decision only", discrete, (on) => { discrete = on; paint(); });
  const switches = h("div", { className: "row" },
    checkbox("Held-out points", held, (on) => { held = on; drawPoints(); }),
    decision);
  return h("section", { className: "output", "aria-label": app.named("Output") },
    h("h2", {}, "Output"),
    looking,
    h("div", { className: "plot" }, vertical, stage, horizontal),
    legend,
    switches,
    confusion);
}
