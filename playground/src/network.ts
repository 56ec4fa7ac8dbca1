// The network: a heat map for every unit, a line for every weight.
import type { App } from "./app";
import { activation, blocks, type Block } from "./blocks";
import { onTheme, paintCurve, paintGrid, sign, tint } from "./color";
import { button, digits, focused, h, keepFocus, s, select } from "./dom";
import { fresh } from "./form";

const MOST_UNITS = 40; // units drawn of a column
const TALLEST = 10; // units in a row of a column of many
const MOST_HITS = 400; // lines that answer to the pointer
const HEAD = 92; // pixels above the units; each further layer of a column takes CHIP more
const CHIP = 28;
const NARROWEST = 84;

interface Unit {
  element: HTMLButtonElement;
  canvas: HTMLCanvasElement;
  bias: HTMLElement;
  x: number;
  y: number;
}

interface Line {
  path: SVGPathElement;
  layer: number;
  index: number; // in W, row by row
  from: [number, number]; // column and unit
  to: [number, number];
}

/** The largest |value| that the colors of a unit show: 1, or more where the unit goes beyond. */
export function limitOf(grid: Float32Array): number {
  let limit = 1;
  for (const value of grid) if (Math.abs(value) > limit) limit = Math.abs(value);
  return limit;
}

/** The grid of one unit of a layer, or undefined. */
export function unitGrid(app: App, layer: number, unit: number): Float32Array | undefined {
  const grid = app.frame?.values.get(`unit/${layer}`);
  if (!grid) return undefined;
  const cells = grid.data.length / grid.shape[0]!;
  return grid.data.subarray(unit * cells, (unit + 1) * cells);
}

/** The side of the image that the inputs are, or 0. */
const side = (app: App): number => {
  const { inputs, names } = app.configured!.data;
  const root = Math.sqrt(inputs);
  return inputs > 4 && Number.isInteger(root) && names[0]?.startsWith("pixel") ? root : 0;
};

/** The rows of a grid that is painted from the bottom, first row last. */
const upright = (values: (k: number) => number, size: number): Float32Array =>
  Float32Array.from({ length: size * size }, (_, k) => values((size - 1 - Math.floor(k / size)) * size + (k % size)));

export function network(app: App): HTMLElement {
  const svg = s("svg", { class: "lines", "aria-hidden": "true" });
  const board = h("div", { className: "board", role: "group", "aria-label": app.named("Network. Arrow keys move between units; Enter opens one.") });
  const scroller = h("div", { className: "scroller" }, board);
  const title = h("p", { className: "note" });
  let columns: Block[] = [];
  let units: Unit[][] = []; // by column: inputs first
  let lines: Line[] = [];
  let labels: { text: SVGTextElement; line: Line }[] = [];
  let at: [number, number] = [1, 0];
  let wide = 0;
  let shows: "W" | "dW" = "W";

  const change = (layer: number, argument: string, value: unknown): void =>
    app.edit((state) => { state.network.layers[layer]![argument] = value; });

  const head = (block: Block, column: number): HTMLElement => {
    const layer = app.configured!.layers[block.first]!;
    const acts = activation(app, block);
    const output = column === columns.length - 1;
    const place = output ? "Output" : `Hidden ${column + 1}`;
    const box = h("div", { className: "head" });
    box.append(button(layer.type, () => app.select({ layer: block.first, unit: null }), {
      className: "layer-name", title: `${layer.title}: settings`, "aria-label": `${place}, ${layer.title}: settings`,
    }));
    if (layer.type === "Dense") {
      const step = (by: number): void => change(block.first, "units", Math.max(1, block.units + by));
      box.append(output
        ? h("div", { className: "stepper" }, h("span", { className: "count" }, `${block.units} ${block.units === 1 ? "output" : "outputs"}`))
        : h("div", { className: "stepper" },
          button("−", () => step(-1), { "aria-label": `${place}: remove a unit`, disabled: block.units < 2 }),
          h("span", { className: "count" }, `${block.units}`),
          button("+", () => step(1), { "aria-label": `${place}: add a unit` })));
    }
    else box.append(h("div", { className: "stepper" }, h("span", { className: "count" }, `${block.units} units`)));
    if (!output || acts) {
      const types = app.catalog.layers.filter((known) => known.activation).map(({ type }) => type);
      box.append(select([["", "no activation"], ...types.map((type) => [type, type] as const)], acts?.type ?? "", (type) =>
        app.edit((state) => {
          const { layers } = state.network;
          if (acts) layers.splice(acts.layer, 1, ...(type ? [fresh(app, "layers", type)] : []));
          else layers.splice(block.first + 1, 0, fresh(app, "layers", type));
        }), { "aria-label": `${place}: activation` }));
    }
    for (let k = block.first + 1; k <= block.last; k += 1) {
      const { type, title: name } = app.configured!.layers[k]!;
      if (k !== acts?.layer) box.append(button(name, () => app.select({ layer: k, unit: null }), { className: "chip", title: `${type}: settings` }));
    }
    return box;
  };

  const unit = (column: number, k: number, size: number): Unit => {
    const canvas = h("canvas", { width: 50, height: 50 });
    const bias = h("span", { className: "bias" });
    const block = columns[column - 1];
    const name = block ? `${column === columns.length ? "Output" : `Hidden ${column},`} unit ${k + 1}` : `Input ${app.configured!.data.names[k]}`;
    const element = h("button", {
      type: "button", className: block ? "unit" : "unit input", "aria-label": name, tabIndex: -1,
      onclick: () => { focus(column, k); if (block) app.select({ layer: block.first, unit: k }); },
      onpointerenter: () => highlight(column, k),
      onpointerleave: () => highlight(...chosen()),
      onfocus: () => { at = [column, k]; highlight(column, k); },
    }, canvas, block ? bias : null);
    element.style.width = element.style.height = `${size}px`;
    if (!block) element.append(h("span", { className: "name", title: app.configured!.data.names[k] }, app.configured!.data.names[k]));
    return { element, canvas, bias, x: 0, y: 0 };
  };

  // The unit whose panel is open, or none.
  const chosen = (): [number, number] => {
    if (!app.selected || app.selected.unit === null) return [-1, -1];
    return [columns.findIndex((block) => block.first <= app.selected!.layer && app.selected!.layer <= block.last) + 1, app.selected.unit];
  };

  const highlight = (column: number, k: number): void => {
    for (const { text } of labels) text.remove();
    labels = [];
    svg.classList.toggle("dim", column > 0);
    units.forEach((list, c) => list.forEach(({ element }, u) => element.classList.toggle("chosen", c === column && u === k && column > 0)));
    for (const line of lines) {
      const near = line.to[0] === column && line.to[1] === k;
      line.path.classList.toggle("near", near || (column === 0 && line.from[0] === 0 && line.from[1] === k));
      if (!near || column < 1) continue;
      const from = units[line.from[0]]![line.from[1]]!;
      const text = s("text", { x: from.x + 7, y: from.y - 3, class: "weight" });
      svg.append(text);
      labels.push({ text, line });
    }
    number();
  };

  /** Show the number of one line under the pointer. */
  const point = (line: Line, x: number, y: number): void => {
    for (const { text } of labels) text.remove();
    line.path.classList.add("near");
    const text = s("text", { x, y: y - 5, class: "weight", "text-anchor": "middle" });
    svg.append(text);
    labels = [{ text, line }];
    number();
  };

  const number = (): void => {
    for (const { text, line } of labels) {
      const W = app.frame?.values.get(`${shows}/${line.layer}`);
      if (W) text.textContent = digits(W.data[line.index]!, shows === "W" ? 2 : 4);
    }
  };

  const focus = (column: number, k: number): void => {
    const list = units[column];
    if (!list?.length) return;
    const next = list[Math.max(0, Math.min(k, list.length - 1))]!;
    for (const other of units.flat()) other.element.tabIndex = -1;
    next.element.tabIndex = 0;
    next.element.focus({ preventScroll: false });
  };

  board.addEventListener("keydown", (event) => {
    const moves: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const move = moves[event.key];
    if (!move || !(event.target as Element).classList.contains("unit")) return;
    event.preventDefault();
    focus(at[0] + move[0], at[1] + move[1]);
  });

  const addLayer = (column: number): HTMLElement => {
    const add = button("+", () => app.edit((state) => {
      const hidden = [{ type: "Dense", units: 4 }, { type: activationOfNetwork() }];
      state.network.layers.splice(columns[column]!.first, 0, ...hidden);
    }), { className: "add", "aria-label": `Add a hidden layer before ${column === columns.length - 1 ? "the output" : `hidden ${column + 1}`}`, title: "Add a hidden layer here" });
    return add;
  };

  const activationOfNetwork = (): string => columns.map((block) => activation(app, block)?.type).find(Boolean) ?? "Tanh";

  const build = (): void => {
    const { configured } = app;
    if (!configured) return;
    const hadFocus = board.contains(focused(board)) && focused(board)!.classList.contains("unit");
    columns = blocks(app);
    const counts = [configured.data.inputs, ...columns.map((block) => block.units)];
    const image = side(app);
    const shown = counts.map((count, column) => (image && !column ? 1 : Math.min(count, MOST_UNITS)));
    const tallest = Math.max(4, ...shown.map((count) => (count > 16 ? TALLEST : count)));
    const size = tallest <= 8 ? 38 : tallest <= 12 ? 28 : 22;
    const pitch = size + (tallest <= 8 ? 12 : 8);
    const widest = Math.max(...shown.map((count) => (count > 16 ? Math.ceil(count / TALLEST) : 1)));
    const above = HEAD + CHIP * Math.max(0, ...columns.map((block) => block.last - block.first - (activation(app, block) ? 1 : 0)));
    wide = Math.max(scroller.clientWidth, Math.max(NARROWEST, widest * (size + 6) + 40) * counts.length);
    const step = wide / counts.length;
    const height = above + tallest * pitch + 26;
    svg.setAttribute("viewBox", `0 0 ${wide} ${height}`);
    svg.replaceChildren();
    board.style.setProperty("--room", `${step / 2 - size / 2 - 8}px`); // for the name of an input
    board.style.width = svg.style.width = `${wide}px`;
    board.style.height = svg.style.height = `${height}px`;
    board.replaceChildren(svg);
    units = shown.map((count, column) => {
      const center = step * (column + 0.5);
      const header = column ? head(columns[column - 1]!, column - 1) : h("div", { className: "head" }, h("span", { className: "layer-name" }, "Inputs"));
      header.style.left = `${center}px`;
      header.style.maxWidth = `${step - 8}px`;
      board.append(header);
      const made: Unit[] = [];
      const rows = count > 16 ? TALLEST : count;
      const across = Math.ceil(count / rows);
      const top = above + ((tallest - rows) * pitch) / 2;
      for (let k = 0; k < count; k += 1) {
        const one = unit(column, k, size);
        const x = center + (Math.floor(k / rows) - (across - 1) / 2) * (size + 6);
        const y = top + (k % rows) * pitch + size / 2;
        one.element.style.left = `${x - size / 2}px`;
        one.element.style.top = `${y - size / 2}px`;
        one.x = x + size / 2;
        one.y = y;
        board.append(one.element);
        made.push(one);
      }
      if (counts[column]! > count && !(image && !column)) {
        const more = h("span", { className: "more" }, `and ${counts[column]! - count} more`);
        more.style.left = `${center}px`;
        more.style.top = `${top + rows * pitch}px`;
        board.append(more);
      }
      if (column) {
        const norm = h("span", { className: "norm", title: "Norm of the gradient of this layer's parameters" });
        norm.style.left = `${center}px`;
        norm.style.top = `${height - 20}px`;
        board.append(norm);
        const add = addLayer(column - 1);
        add.style.left = `${step * column}px`;
        add.style.top = step < 120 ? "0" : "30px";
        board.append(add);
      }
      return made;
    });
    lines = [];
    columns.forEach((block, c) => {
      const shape = configured.layers[block.first]!.parameters.W;
      if (image && !c) return;
      if (shape?.length !== 2) { // a block around the units before it
        if (units[c]!.length === units[c + 1]!.length)
          units[c]!.forEach((source, i) => svg.append(s("path", { class: "skip", d: `M${source.x} ${source.y}H${units[c + 1]![i]!.x - size}` })));
        return;
      }
      const hits = shape[0]! * shape[1]! <= MOST_HITS;
      units[c]!.forEach((source, i) => units[c + 1]!.forEach((target, j) => {
        const [x1, y1, x2, y2] = [source.x, source.y, target.x - size, target.y];
        const middle = (x1 + x2) / 2;
        const path = s("path", { d: `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}` });
        svg.append(path);
        const line: Line = { path, layer: block.first, index: i * shape[1]! + j, from: [c, i], to: [c + 1, j] };
        lines.push(line);
        if (!hits) return;
        const hit = s("path", { class: "hit", d: path.getAttribute("d") });
        hit.addEventListener("pointerenter", () => point(line, middle, (y1 + y2) / 2));
        hit.addEventListener("pointerleave", () => { path.classList.remove("near"); highlight(...chosen()); });
        hit.addEventListener("click", () => app.select({ layer: block.first, unit: j, source: i }));
        svg.append(hit);
      }));
    });
    title.textContent = `${configured.parameters.toLocaleString("en")} parameters`;
    at = [Math.min(at[0], units.length - 1), Math.min(at[1], units[Math.min(at[0], units.length - 1)]!.length - 1)];
    const current = units[at[0]]?.[at[1]];
    if (current) {
      current.element.tabIndex = 0;
      if (hadFocus) current.element.focus();
    }
    inputs();
    draw();
    highlight(...chosen());
  };

  // The inputs over the plane, which training does not change.
  const inputs = (): void => {
    const plane = app.data?.values.get("plane");
    const image = side(app);
    if (image) picture(image);
    units[0]?.forEach(({ canvas }, k) => {
      if (!plane || image || k >= plane.shape[0]!) return;
      const cells = plane.data.length / plane.shape[0]!;
      const grid = plane.data.subarray(k * cells, (k + 1) * cells);
      (app.box!.shape[0] === 1 ? paintCurve : paintGrid)(canvas, grid, Math.max(1e-6, ...grid.map(Math.abs)));
    });
  };

  // Inputs that are an image: the first training row.
  const picture = (size: number): void => {
    const X = app.data?.values.get("X");
    const tile = units[0]?.[0];
    if (!X || !tile) return;
    const grid = upright((k) => X.data[k]!, size);
    paintGrid(tile.canvas, grid, limitOf(grid));
    tile.element.querySelector(".name")!.textContent = `${size} × ${size}`;
  };

  // A unit fed by the pixels shows its weights as an image, where there is no plane to show it over.
  const template = (block: Block, k: number, size: number): Float32Array | undefined => {
    const W = app.frame?.values.get(`W/${block.first}`);
    return W && upright((pixel) => W.data[pixel * block.units + k]!, size);
  };

  const draw = (): void => {
    const { frame } = app;
    if (!frame) return;
    const image = app.box ? 0 : side(app);
    columns.forEach((block, c) => {
      const bias = frame.values.get(`b/${block.first}`);
      const acts = activation(app, block);
      const saturation = acts && frame.values.get(`saturation/${acts.layer}`);
      units[c + 1]?.forEach(({ element, canvas, bias: dot }, k) => {
        const grid = image && !c ? template(block, k, image) : unitGrid(app, block.last, k);
        if (grid && app.box?.shape[0] === 1) paintCurve(canvas, grid, limitOf(grid));
        else if (grid) paintGrid(canvas, grid, image ? Math.max(...grid.map(Math.abs)) : limitOf(grid));
        if (bias) dot.style.background = tint(bias.data[k]!, 1);
        dot.hidden = !bias;
        const mark = saturation && saturation.data[k]! > 0.99 ? (/ReLU/.test(acts.type) ? "dead" : "saturated") : "";
        if ((element.dataset.mark ?? "") !== mark) {
          element.dataset.mark = mark;
          element.title = mark ? `${mark}: its derivative is below 0.01 on ${Math.round(100 * saturation!.data[k]!)}% of the training rows` : "";
        }
      });
    });
    const scales = new Map<number, number>();
    for (const { path, layer, index } of lines) {
      const numbers = frame.values.get(`${shows}/${layer}`)?.data;
      const value = numbers?.[index] ?? 0;
      if (!scales.has(layer)) scales.set(layer, shows === "W" ? 2.2 : 5 / Math.max(1e-12, ...(numbers ?? []).map(Math.abs)));
      path.style.stroke = sign(value);
      path.style.strokeWidth = String(Math.min(7, 0.4 + scales.get(layer)! * Math.abs(value)));
    }
    const norms = frame.values.get("norm");
    board.querySelectorAll(".norm").forEach((place, c) => {
      const block = columns[c]!;
      let sum = 0;
      for (let k = block.first; k <= block.last; k += 1) sum += (norms?.data[k] ?? 0) ** 2;
      place.textContent = norms ? `‖∇‖ ${digits(Math.sqrt(sum), 3)}` : "";
    });
    number();
  };

  app.on("configured", () => keepFocus(board, build));
  // The layer of the step that the trace shows.
  app.on("operation", (layer) => board.querySelectorAll(".head").forEach((head, column) => {
    const block = columns[column - 1];
    head.classList.toggle("traced", block !== undefined && layer !== null && block.first <= layer && layer <= block.last);
  }));
  app.on("data", () => {
    if (!app.box) for (const { canvas } of units.flat()) canvas.width = canvas.height = 50; // which clears it
    inputs();
  });
  app.on("frame", draw);
  app.on("selected", () => highlight(...chosen()));
  onTheme(() => { inputs(); draw(); }, app.left);
  new ResizeObserver(() => { if (Math.abs(Math.max(scroller.clientWidth, NARROWEST * units.length) - wide) > 2) build(); }).observe(scroller);

  return h("section", { className: "network", "aria-label": app.named("Network") },
    h("div", { className: "row" }, h("h2", {}, "Network"), title,
      h("label", { className: "check" }, "Lines show", select([["W", "weights"], ["dW", "gradients"]], shows, (name) => { shows = name as typeof shows; draw(); }))), scroller);
}
