// The bar at the top: run, step, back, reset; where training stands.
import type { App, Pace } from "./app";
import { button, digits, h, select } from "./dom";

const SAID_EVERY = 5000; // milliseconds between two sentences to a screen reader while training runs

/** Where training stands. */
export function readings(app: App, name = ""): HTMLElement {
  const list = h("dl", { className: "readings" });
  const values = new Map<string, HTMLElement>();
  let said = 0;

  const read = (name: string, text: string): void => {
    let place = values.get(name);
    if (!place) {
      place = h("dd");
      values.set(name, place);
      list.append(h("div", {}, h("dt", {}, name), place));
    }
    place.textContent = text;
  };

  app.on("frame", (frame) => {
    read("Step", frame.step.toLocaleString("en"));
    read("Epoch", frame.epoch.toLocaleString("en"));
    read("Training loss", frame.loss === null ? "–" : digits(frame.loss));
    read("Held-out loss", frame.val_loss === null ? "–" : digits(frame.val_loss));
    for (const [name, title] of [["accuracy", "Training accuracy"], ["val_accuracy", "Held-out accuracy"]] as const) {
      const value = frame.metrics[name];
      if (value !== null && value !== undefined) read(title, `${(100 * value).toFixed(1)}%`);
      else values.get(title)?.parentElement?.remove(), values.delete(title);
    }
    if (!app.running || performance.now() - said > SAID_EVERY) {
      said = performance.now();
      app.say([...values].map(([name, place]) => `${name} ${place.textContent}`).join(", "));
    }
    if (frame.ended) app.say(frame.ended);
  });
  return name ? h("div", { role: "group", "aria-label": name }, list) : list;
}

export function controls(app: App): HTMLElement {
  const run = button("Run", () => app.run(), { className: "run" });
  app.on("running", (running) => {
    run.textContent = running ? "Pause" : "Run";
    run.classList.toggle("on", running);
  });
  const lessons = h("select", { "aria-label": "Open a lesson", onchange: () => {
    const chosen = app.catalog.lessons.find(({ name }) => name === lessons.value);
    lessons.value = "";
    if (chosen) app.edit(() => { app.state = structuredClone(chosen.state); });
  } });
  app.on("catalog", (catalog) => lessons.replaceChildren(
    h("option", { value: "" }, "Lessons"), ...catalog.lessons.map(({ name, title }) => h("option", { value: name }, title))));

  return h("div", { className: "controls" },
    h("div", { className: "buttons", role: "group", "aria-label": "Training" },
      run,
      select([["step", "by step"], ["epoch", "by epoch"], ["all", "full speed"]], app.pace, (pace) => app.setPace(pace as Pace),
        { "aria-label": "Speed", title: "How far training goes between two pictures" }),
      button("Step", () => app.step("step"), { title: "Train on the next batch" }),
      button("Epoch", () => app.step("epoch"), { title: "Train to the end of the epoch" }),
      button("Back", () => app.back(), { title: "Go back one step" }),
      button("Reset", () => app.reset(), { title: "Return to the initial parameters" }),
      lessons),
    readings(app));
}
