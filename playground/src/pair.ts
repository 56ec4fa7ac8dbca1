// Two networks in step, on the same data.
import type { App } from "./app";
import type { State } from "./protocol";

/** Give the second network the data of the first, and an output and a loss that fit them. */
function share(from: State, to: State): void {
  const last = ({ network }: State): State["network"]["layers"][number] | undefined => network.layers.findLast(({ type }) => type === "Dense");
  to.data = structuredClone(from.data);
  const [source, output] = [last(from), last(to)];
  if (source && output) output.units = source.units;
  to.network.loss = structuredClone(from.network.loss);
  to.training.batch_size = Math.min(to.training.batch_size, from.training.batch_size);
}

/** Keep two networks in step until they are parted; returns the function that parts them. */
export function pair(first: App, second: App): () => void {
  const whole = (app: App): string => JSON.stringify(app.configured?.state);
  const known = new Map([first, second].map((app) => [app, whole(app)]));
  let catching = false;
  const pace = (): void => second.setPace(first.pace);
  first.partner = second;
  second.partner = first;
  for (const app of [first, second]) {
    const other = app.partner!;
    // A change of one starts both over. Each start is announced: only a new state is a change.
    app.on("configured", ({ state }) => {
      if (known.get(app) === whole(app)) return;
      known.set(app, whole(app));
      if (!other.configured) return;
      if (app === first && JSON.stringify(state.data) !== JSON.stringify(other.state.data)) other.edit((now) => share(state, now));
      else other.reset();
    }, second.left);
    // Paused, the one behind catches up.
    app.on("frame", ({ step, running }) => {
      const there = other.frame;
      if (running || app.running || other.running || !there || there.running || there.ended || step === there.step || !catching) return;
      catching = false;
      const behind = step < there.step ? app : other;
      behind.send({ type: "step", count: Math.abs(step - there.step), unit: "step" });
    }, second.left);
  }
  first.on("running", (running) => {
    pace();
    catching = !running;
    if (second.running !== running) second.run();
  }, second.left);
  first.on("asked", (request) => second.send(request), second.left);
  return () => {
    first.partner = second.partner = null;
    second.close();
  };
}
