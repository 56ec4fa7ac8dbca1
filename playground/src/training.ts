// How the network is trained: loss, optimizer, schedule, penalties, batch size, seeds.
import type { App, Kind } from "./app";
import { button, field, h, keepFocus, number, select } from "./dom";
import { fields, fresh } from "./form";
import type { Part } from "./protocol";

const snake = (name: string): string => name.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toLowerCase();

export function training(app: App): HTMLElement {
  const row = h("div", { className: "fields" });

  const build = (): void => {
    const { training: now, network } = app.state;
    const edited = (): void => app.edit(() => undefined);
    const choose = (label: string, kind: Kind, part: Part, set: (part: Part) => void): HTMLElement =>
      field(label, select(app.catalog[kind].map(({ type }) => type), part.type, (type) => {
        set(fresh(app, kind, type));
        edited();
      }), app.known(kind, part.type)?.summary);
    const loss = typeof network.loss === "string"
      ? (app.catalog.losses.find(({ type }) => snake(type) === network.loss || type === network.loss)?.type ?? network.loss)
      : network.loss.type;
    const penalties = now.penalties.flatMap((penalty, k) => [
      ...fields(app, "penalties", penalty, edited, ["layers", "biases", "per_row"]).map((made) => {
        const label = made.querySelector("label")!;
        label.textContent = `${penalty.type} ${label.textContent!.toLowerCase()}`;
        return made;
      }),
      button(`Remove ${penalty.type}`, () => app.edit((state) => { state.training.penalties.splice(k, 1); })),
    ]);
    row.replaceChildren(
      choose("Loss", "losses", { type: loss }, (part) => { network.loss = part; }),
      ...(typeof network.loss === "string" ? [] : fields(app, "losses", network.loss, edited)),
      choose("Optimizer", "optimizers", now.optimizer, (part) => { now.optimizer = part; }),
      ...fields(app, "optimizers", now.optimizer, edited, ["epsilon", "epsilon_hat"]),
      choose("Schedule", "schedules", now.schedule, (part) => { now.schedule = part; }),
      ...fields(app, "schedules", now.schedule, edited),
      field("Batch size", number(now.batch_size, (value) => app.edit((state) => { state.training.batch_size = value; }), { min: 1, step: 1 })),
      ...penalties,
      field("Add penalty", select([["", "none"], ...app.catalog.penalties.map(({ type }) => [type, type] as const)], "", (type) => {
        const part = fresh(app, "penalties", type);
        if ("strength" in part) part.strength = 0.001;
        app.edit((state) => { state.training.penalties.push(part); });
      })),
      field("Network seed", number(network.seed, (value) => app.edit((state) => { state.network.seed = value; }), { min: 0, step: 1 })),
      field("Training seed", number(now.seed, (value) => app.edit((state) => { state.training.seed = value; }), { min: 0, step: 1 })),
    );
  };

  app.on("catalog", build);
  const rebuild = (): void => keepFocus(row, build);
  app.on("configured", rebuild);
  app.on("reverted", rebuild);
  const details = h("details", {}, h("summary", {}, "Training settings"), row);
  app.on("catalog", () => { details.open = app.root.clientWidth > 820; });
  return h("section", { className: "training", "aria-label": app.named("Training settings") }, details);
}
