// The loss of both parts over the steps, on a linear or a logarithmic scale.
import type { App } from "./app";
import { button, checkbox, digits, field, h, number, s } from "./dom";

const WIDTH = 320;
const HEIGHT = 150;
const LEFT = 44;
const BOTTOM = 20;
const TOP = 8;
const RIGHT = 8;

function ticks(low: number, high: number, count: number): number[] {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const size = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= rough)!;
  const found: number[] = [];
  for (let k = Math.ceil(low / size); k * size <= high + 1e-9 * size; k += 1) found.push(k * size);
  return found;
}

const short = (value: number): string =>
  value >= 1e6 ? `${value / 1e6}M` : value >= 1e4 ? `${value / 1e3}k` : String(Number(value.toPrecision(3)));

export function curves(app: App): HTMLElement {
  const axes = s("g", { class: "axes" });
  const keptTrain = s("path", { class: "curve train kept" });
  const keptTest = s("path", { class: "curve test kept" });
  const train = s("path", { class: "curve train" });
  const test = s("path", { class: "curve test" });
  const cursor = s("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
  const svg = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": app.named("Loss by step") }, axes, keptTest, keptTrain, test, train, cursor);
  const legend = h("p", { className: "legend" });
  const goal = number(0, () => undefined, { min: 0, step: 1 });
  let pointed = 0;
  let logarithmic = false;
  let points = new Float32Array(0);
  let kept = new Float32Array(0); // the curves of another run, to compare with
  let x = (_: number): number => 0;

  const draw = (): void => {
    const rows = points.length / 3;
    if (!rows) return;
    const level = (loss: number): number => (logarithmic ? Math.log10(Math.max(loss, 1e-8)) : loss);
    let low = Infinity;
    let high = -Infinity;
    for (const run of [points, kept])
      run.forEach((loss, k) => {
        if (k % 3 === 0 || !Number.isFinite(loss)) return;
        low = Math.min(low, level(loss));
        high = Math.max(high, level(loss));
      });
    if (!logarithmic) low = Math.min(0, low);
    if (!(high > low)) high = low + 1;
    const last = Math.max(1, points[3 * (rows - 1)]!, kept[kept.length - 3] ?? 0);
    const first = Math.min(points[0]!, last - 1);
    x = (step) => LEFT + ((step - first) / (last - first)) * (WIDTH - LEFT - RIGHT);
    const y = (v: number): number => HEIGHT - BOTTOM - ((v - low) / (high - low)) * (HEIGHT - BOTTOM - TOP);
    const path = (run: Float32Array, column: number): string => {
      let text = "";
      let pen = "M";
      for (let row = 0; row < run.length; row += 3) {
        if (!Number.isFinite(run[row + column]!)) { pen = "M"; continue; }
        text += `${pen}${x(run[row]!).toFixed(1)} ${y(level(run[row + column]!)).toFixed(1)}`;
        pen = "L";
      }
      return text;
    };
    train.setAttribute("d", path(points, 1));
    test.setAttribute("d", path(points, 2));
    keptTrain.setAttribute("d", path(kept, 1));
    keptTest.setAttribute("d", path(kept, 2));
    axes.replaceChildren(
      ...ticks(low, high, 4).flatMap((v) => [
        s("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(v), y2: y(v) }),
        s("text", { x: LEFT - 6, y: y(v) + 3.5, "text-anchor": "end" }, logarithmic ? Number((10 ** v).toPrecision(2)) : short(v)),
      ]),
      ...ticks(first, last, 4).filter(Number.isInteger).map((v) =>
        s("text", { x: x(v), y: HEIGHT - 5, "text-anchor": v === first ? "start" : v > last - (last - first) / 20 ? "end" : "middle" }, short(v))),
    );
  };

  const read = (row: number): void => {
    const parts = [h("span", { className: "key train" }, `training ${digits(points[3 * row + 1]!)}`)];
    if (Number.isFinite(points[3 * row + 2]!)) parts.push(h("span", { className: "key test" }, `held-out ${digits(points[3 * row + 2]!)}`));
    legend.replaceChildren(`Step ${points[3 * row]!.toLocaleString("en")}: `, ...parts);
  };

  const keep = button("Keep curves", () => {
    kept = kept.length ? new Float32Array(0) : points.slice();
    keep.textContent = kept.length ? "Drop kept curves" : "Keep curves";
    draw();
  }, { title: "Leave these curves in the picture, to compare the next run with" });

  svg.addEventListener("pointermove", (event) => {
    const rows = points.length / 3;
    if (!rows) return;
    const box = svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * WIDTH;
    let nearest = 0;
    for (let row = 1; row < rows; row += 1)
      if (Math.abs(x(points[3 * row]!) - at) < Math.abs(x(points[3 * nearest]!) - at)) nearest = row;
    cursor.setAttribute("x1", String(x(points[3 * nearest]!)));
    cursor.setAttribute("x2", String(x(points[3 * nearest]!)));
    cursor.setAttribute("visibility", "visible");
    pointed = points[3 * nearest]!;
    read(nearest);
  });
  svg.addEventListener("click", () => { goal.valueAsNumber = pointed; app.back(pointed); });
  svg.addEventListener("pointerleave", () => {
    cursor.setAttribute("visibility", "hidden");
    if (points.length) read(points.length / 3 - 1);
  });

  app.on("frame", (frame) => {
    const curve = frame.values.get("curve");
    if (!curve) return;
    points = curve.data as Float32Array<ArrayBuffer>;
    draw();
    if (points.length && cursor.getAttribute("visibility") === "hidden") read(points.length / 3 - 1);
  });

  return h("section", { className: "curves", "aria-label": app.named("Loss") },
    h("div", { className: "row" }, h("h2", {}, "Loss"), checkbox("Log scale", logarithmic, (on) => { logarithmic = on; draw(); })),
    svg, legend,
    h("div", { className: "fields" }, field("Go back to step", goal), button("Go", () => app.back(goal.valueAsNumber)),
      keep));
}
