// The learning-rate sweep, and the surface of the loss around the parameters.
import type { App } from "./app";
import { button, digits, h, s } from "./dom";

const SIZE = 300;
const EDGE = 40;

function sweepPlot(rates: Float32Array, losses: Float32Array, suggestion: number | null): SVGElement {
  const width = 420;
  const height = 220;
  const finite = [...losses].filter(Number.isFinite).sort((a, b) => a - b);
  const low = finite[0] ?? 0;
  const high = Math.min(finite.at(-1) ?? 1, 3 * (finite[Math.floor(finite.length / 2)] ?? 1)) || 1;
  const from = Math.log10(rates[0]!);
  const to = Math.log10(rates.at(-1)!);
  const x = (rate: number): number => EDGE + ((Math.log10(rate) - from) / (to - from)) * (width - EDGE - 8);
  const y = (loss: number): number => height - 22 - ((Math.min(loss, high) - low) / (high - low || 1)) * (height - 32);
  const path = [...rates].flatMap((rate, k) => (Number.isFinite(losses[k]!) ? [`${x(rate).toFixed(1)} ${y(losses[k]!).toFixed(1)}`] : []));
  const marks: SVGElement[] = [];
  for (let power = Math.ceil(from); power <= to; power += 1)
    marks.push(s("line", { x1: x(10 ** power), x2: x(10 ** power), y1: 10, y2: height - 22 }),
      s("text", { x: x(10 ** power), y: height - 6, "text-anchor": "middle" }, 10 ** power));
  for (const loss of [low, high]) marks.push(s("text", { x: EDGE - 4, y: y(loss) + 4, "text-anchor": "end" }, digits(loss, 2)));
  return s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Loss by learning rate${suggestion === null ? "" : `; suggestion ${digits(suggestion, 4)}`}` },
    s("g", { class: "axes" }, ...marks),
    s("path", { class: "curve train", d: `M${path.join("L")}` }),
    suggestion === null ? null : s("line", { class: "cursor", x1: x(suggestion), x2: x(suggestion), y1: 10, y2: height - 22 }));
}

function surfacePlot(loss: Float32Array, steps: Float32Array, path: Float32Array): SVGElement {
  const side = steps.length;
  const values = [...loss].map((v) => Math.log(Math.max(v, 1e-9)));
  const finite = values.filter(Number.isFinite);
  const low = Math.min(...finite);
  const high = Math.max(...finite);
  const cell = SIZE / side;
  const reach = steps.at(-1)!;
  const at = (v: number): number => ((v + reach) / (2 * reach)) * (SIZE - cell) + cell / 2;
  const cells = values.map((v, k) => s("rect", {
    x: (k % side) * cell, y: SIZE - cell - Math.floor(k / side) * cell, width: cell, height: cell, "shape-rendering": "crispEdges",
    "fill-opacity": (Number.isFinite(v) ? 0.05 + 0.9 * ((v - low) / (high - low || 1)) : 1).toFixed(2),
  }));
  const points: string[] = [];
  for (let k = 0; k < path.length; k += 2) points.push(`${at(path[k]!).toFixed(1)} ${(SIZE - at(path[k + 1]!)).toFixed(1)}`);
  return s("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img", class: "surface", "aria-label": "Loss around the parameters, with the path of training" },
    s("g", { class: "cells" }, ...cells), s("path", { class: "way", d: `M${points.join("L")}` }),
    s("circle", { class: "here", cx: at(0), cy: SIZE - at(0), r: 4 }));
}

export function exploreTab(app: App): HTMLElement {
  const sweep = h("div", { className: "drawing" });
  const rate = h("p", { className: "note", role: "status" });
  const surface = h("div", { className: "drawing" });
  const about = h("p", { className: "note", role: "status" });
  let suggestion: number | null = null;
  const use = button("Use this rate", () => {
    if (suggestion !== null) app.edit((state) => { state.training.optimizer.learning_rate = Number(suggestion!.toPrecision(3)); });
  }, { hidden: true });

  app.on("binary", (message) => {
    if (message.kind === "sweep") {
      suggestion = message.suggestion;
      sweep.replaceChildren(sweepPlot(message.values.get("rate")!.data, message.values.get("loss")!.data, suggestion));
      rate.textContent = suggestion === null ? "No rate stands out." : `Suggested learning rate: ${Number(suggestion.toPrecision(3))}`;
      use.hidden = suggestion === null;
    } else if (message.kind === "surface") {
      const { data: loss } = message.values.get("loss")!;
      surface.replaceChildren(surfacePlot(loss, message.values.get("steps")!.data, message.values.get("path")!.data));
      const finite = [...loss].filter(Number.isFinite);
      about.textContent = `Loss from ${digits(Math.min(...finite))} (faint) to ${digits(Math.max(...finite))} (strong), on a logarithmic scale. The dot is the network now; the line is the path of training.`;
    }
  });
  app.on("configured", () => {
    for (const place of [sweep, surface]) place.replaceChildren();
    for (const place of [rate, about]) place.textContent = "";
    use.hidden = true;
  });
  return h("div", { className: "two" },
    h("div", { className: "stack" },
      h("h3", {}, "Learning-rate sweep"),
      h("p", { className: "note" }, "Trains a copy of the network with a learning rate that grows at every step."),
      h("div", { className: "fields" }, button("Sweep", () => app.send({ type: "sweep" })), use), rate, sweep),
    h("div", { className: "stack" },
      h("h3", {}, "Loss surface"),
      h("p", { className: "note" }, "The training loss on a plane through the parameters: the direction of training, and one at right angles to it."),
      h("div", {}, button("Draw the surface", () => app.send({ type: "surface" }))), about, surface));
}
