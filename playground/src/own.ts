// Data of one's own: points drawn on a pad, or a CSV file.
import type { App } from "./app";
import { classColor } from "./color";
import { button, field, h, select } from "./dom";
import { suit } from "./suit";

const PAD = 190;
const LEAST = 6; // points before training starts with them
const COLORS = ["orange", "blue", "green", "pink"];

/** A pad to draw points on, by pointer or by keyboard. */
export function pad(app: App): HTMLElement {
  const canvas = h("canvas", {
    className: "pad", width: 2 * PAD, height: 2 * PAD, tabIndex: 0, role: "application",
    "aria-label": "Pad for points: arrow keys move the cross, Space adds a point, Backspace removes the last one",
  });
  const count = h("p", { className: "note", role: "status" });
  let points = (app.state.data.points ?? []).map((point): number[] => Array.from(point as number[]));
  let curve = app.state.data.regression ?? false; // points (x, t), at which a curve is to pass
  let color = 0;
  let cross: [number, number] | null = null;

  const draw = (): void => {
    const context = canvas.getContext("2d")!;
    context.setTransform(2, 0, 0, 2, 0, 0);
    context.clearRect(0, 0, PAD, PAD);
    for (const [x, y, t = 1] of points) {
      context.beginPath();
      context.arc(((x! + 1) / 2) * PAD, ((1 - y!) / 2) * PAD, 4, 0, 2 * Math.PI);
      context.fillStyle = classColor(t);
      context.fill();
    }
    if (cross) {
      const [x, y] = [((cross[0] + 1) / 2) * PAD, ((1 - cross[1]) / 2) * PAD];
      context.strokeStyle = getComputedStyle(canvas).color;
      context.strokeRect(x - 5, y - 5, 10, 10);
    }
    colors.hidden = curve;
    count.textContent = enough() ? `${points.length} points.` : `${points.length} points: draw at least ${LEAST}${curve ? "" : ", of two colors"}.`;
  };
  const enough = (): boolean => points.length >= LEAST && (curve || new Set(points.map((point) => point[2])).size > 1);
  const changed = (): void => {
    draw();
    if (!enough()) return;
    app.edit((state) => {
      Object.assign(state.data, { name: "points", points, regression: curve, scale: false });
      state.training.batch_size = Math.min(state.training.batch_size, 5, Math.max(1, Math.floor(points.length * (1 - state.data.test))));
      if (curve) suit(state, "regression", 1);
      else suit(state, "classes", Math.max(1, ...points.map((point) => point[2]!)) + 1);
    });
  };
  const add = (x: number, y: number): void => {
    points.push([Number(x.toFixed(3)), Number(y.toFixed(3)), ...(curve ? [] : [color])]);
    changed();
  };
  const place = (event: PointerEvent): void => {
    const box = canvas.getBoundingClientRect();
    add((2 * (event.clientX - box.left)) / box.width - 1, 1 - (2 * (event.clientY - box.top)) / box.height);
  };
  let last = 0;
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); place(event); });
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons === 1 && event.timeStamp - last > 60) { last = event.timeStamp; place(event); }
  });
  canvas.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    cross ??= [0, 0];
    if (move) cross = [Math.max(-1, Math.min(1, cross[0] + move[0]! / 10)), Math.max(-1, Math.min(1, cross[1] + move[1]! / 10))];
    else if (event.key === " ") add(...cross);
    else if (event.key === "Backspace") { points.pop(); changed(); }
    else return;
    event.preventDefault();
    draw();
  });
  canvas.addEventListener("blur", () => { cross = null; draw(); });
  const clear = (): void => { points = []; changed(); };
  const colors = field("Color", select(COLORS.map((name, k) => [String(k), name] as const), "0", (k) => { color = Number(k); }));
  draw();
  return h("div", { className: "stack" }, canvas,
    h("div", { className: "fields" },
      field("Points are", select([["", "of classes"], ["curve", "on a curve"]], curve ? "curve" : "", (kind) => { curve = Boolean(kind); clear(); })),
      colors, button("Clear", clear)),
    count);
}

/** Split a line of CSV at its separator, quotes respected. */
export function cells(line: string, separator: string): string[] {
  const found = [""];
  let quoted = false;
  for (const letter of line) {
    if (letter === '"') quoted = !quoted;
    else if (letter === separator && !quoted) found.push("");
    else found[found.length - 1] += letter;
  }
  return found.map((text) => text.trim());
}

/** A CSV file by choice, drop or paste; then its columns. */
export function csv(app: App): { element: HTMLElement; open(file: File): void } {
  const area = h("textarea", { className: "code", rows: 5, spellcheck: false, placeholder: "height,weight,kind\n1.2,3.4,a" });
  const file = h("input", { type: "file", accept: ".csv,.tsv,.txt,text/csv", onchange: () => { if (file.files?.[0]) open(file.files[0]); } });
  const choice = h("div", { className: "stack" });
  const now = app.state.data;

  const use = (text: string, columns: string[], target: string): void => {
    const lines = text.split(/\r?\n/).filter((line) => line.trim());
    const separator = separatorOf(lines[0] ?? "");
    const at = cells(lines[0] ?? "", separator).indexOf(target);
    const values = new Set(lines.slice(1).map((line) => cells(line, separator)[at] ?? ""));
    const whole = [...values].every((value) => /^[+-]?\d+$/.test(value));
    const numeric = [...values].every((value) => value !== "" && Number.isFinite(Number(value)));
    const regression = numeric && (!whole || values.size > 20);
    app.edit((state) => {
      Object.assign(state.data, { name: "csv", csv: text, columns, target, scale: true });
      const rows = Math.floor((lines.length - 1) * (1 - state.data.test));
      state.training.batch_size = Math.max(1, Math.min(state.training.batch_size, rows));
      suit(state, regression ? "regression" : "classes", regression ? 1 : values.size);
    });
  };
  const take = (text: string): void => {
    area.value = text.length > 20_000 ? `${text.slice(0, 20_000)}\n…` : text;
    area.readOnly = text.length > 20_000;
    const first = text.slice(0, text.search(/\r?\n/) < 0 ? undefined : text.search(/\r?\n/));
    const names = cells(first, separatorOf(first));
    let target = now.target && names.includes(now.target) ? now.target : (names.at(-1) ?? "");
    const chosen = new Set(now.columns.length ? now.columns : names);
    const inputs = h("div", { role: "group", "aria-label": "Input columns", className: "stack tight" }, ...names.map((name) => {
      const box = h("input", { type: "checkbox", checked: chosen.has(name), onchange: () => (box.checked ? chosen.add(name) : chosen.delete(name)) });
      return h("label", { className: "check" }, box, name);
    }));
    choice.replaceChildren(
      field("Target column", select(names, target, (name) => { target = name; })), inputs,
      button("Use this table", () => use(text, names.filter((name) => chosen.has(name) && name !== target), target)));
  };
  area.addEventListener("input", () => { if (!area.readOnly && area.value.trim()) take(area.value); });
  if (now.csv) take(now.csv);
  const open = (chosen: File): void => {
    const most = app.catalog.limits.csv ?? Infinity;
    if (chosen.size > most)
      app.emit("refused", { about: null, text: `${chosen.name} has ${chosen.size.toLocaleString("en")} bytes. The playground takes at most ${most.toLocaleString("en")}: take a part of the rows.` });
    else void chosen.text().then(take);
  };
  const element = h("div", { className: "stack" }, field("CSV file", file), field("or paste it here", area), choice);
  return { element, open };
}

const separatorOf = (line: string): string => [",", ";", "\t"].sort((a, b) => line.split(b).length - line.split(a).length)[0]!;
