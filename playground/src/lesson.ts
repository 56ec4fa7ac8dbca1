// A lesson: a task, a goal that lights up, and the parts of the page that a teacher hides.
import type { App } from "./app";
import { field, focused, h, number, select } from "./dom";

const PARTS = [
  ["data", "data"], ["training", "training settings"], ["panel", "numbers of a unit"], ["output", "output"],
  ["curves", "loss curves"], ["lab", "the panel below"], ["badge", "gradient badge"],
] as const;
const METRICS: Record<string, string> = { val_accuracy: "Held-out accuracy", accuracy: "Training accuracy", val_r2: "Held-out R²", r2: "Training R²" };

export function lesson(app: App): HTMLElement {
  const task = h("p", { className: "task" });
  const goal = h("p", { className: "goal", role: "status" });
  const element = h("section", { className: "lesson", "aria-label": "Task", hidden: true }, task, goal);
  let reached = false;

  app.on("configured", ({ state: { lesson: now } }) => {
    element.hidden = !now.task && !now.goal;
    task.textContent = now.task;
    goal.hidden = !now.goal;
    reached = false;
    for (const [name] of PARTS) app.root.toggleAttribute(`data-no-${name}`, now.hide.includes(name));
  });
  app.on("frame", (frame) => {
    const wanted = app.state.lesson.goal;
    if (!wanted) return;
    const value = frame.metrics[wanted.metric] ?? null;
    reached ||= value !== null && value >= wanted.at_least;
    const text = `${reached ? "✓ Goal reached" : "Goal"}: ${METRICS[wanted.metric] ?? wanted.metric} of at least ${Number((100 * wanted.at_least).toFixed(2))}%`;
    if (goal.textContent !== text) goal.textContent = text;
    goal.classList.toggle("reached", reached);
  });
  return element;
}

/** The fields with which a teacher makes one. */
export function lessonFields(app: App): HTMLElement {
  const body = h("div", { className: "stack" });
  app.on("configured", ({ state: { lesson: now } }) => {
    if (body.contains(focused(body))) return;
    const task = h("textarea", { rows: 2, value: now.task, onchange: () => app.edit((state) => { state.lesson.task = task.value; }) });
    const metrics = [["", "none"] as const, ...Object.entries(METRICS)];
    body.replaceChildren(
      field("Task", task),
      h("div", { className: "fields" },
        field("Goal", select(metrics, now.goal?.metric ?? "", (metric) => app.edit((state) => {
          state.lesson.goal = metric ? { metric, at_least: now.goal?.at_least ?? 0.95 } : null;
        }))),
        field("at least, in %", number(Math.round(100 * (now.goal?.at_least ?? 0.95)), (value) => app.edit((state) => {
          if (state.lesson.goal) state.lesson.goal.at_least = value / 100;
        }), { min: 0, max: 100 }))),
      h("div", { className: "fields", role: "group", "aria-label": "Hide" }, "Hide:", ...PARTS.map(([name, title]) => {
        const box = h("input", { type: "checkbox", checked: now.hide.includes(name), onchange: () => app.edit((state) => {
          state.lesson.hide = box.checked ? [...state.lesson.hide, name] : state.lesson.hide.filter((other) => other !== name);
        }) });
        return h("label", { className: "check" }, box, title);
      })));
  });
  return body;
}
