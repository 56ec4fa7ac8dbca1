// Which entries of which gradients show how a number of the trace is computed.
import type { Operation } from "./protocol";

type Entries = Record<string, number[]>;

/** Return the layer and the entries to ask for, or null where the server works nothing out for this array. */
export function asked(steps: readonly Operation[], step: Operation, array: Operation["arrays"][number], index: number[]): [string, Entries] | null {
  if (step.layer === null) {
    if (step.phase !== "loss") return null;
    const marked = step.arrays.find(({ name }) => name === "dy")?.marked;
    return index.length > 1 ? ["loss", { dy: index }] : marked ? ["loss", { dy: [index[0]!, ...marked.slice(1)] }] : null;
  }
  const backward = steps.find(({ phase, layer }) => phase === "backward" && layer === step.layer);
  if (!backward) return null;
  const layer = String(step.layer);
  const of = (name: string): Operation["arrays"][number] | undefined => backward.arrays.find((other) => other.name === name);
  const parameter = array.name.replace(/^.* of /, "").replace(/ after$/, ""); // "m of W", "W after"
  const gradient = [parameter, `d${parameter}`].find((name) => /^d./.test(name) && name !== "dx" && name !== "dy" && of(name));
  const W = of("dW");
  const whole = (i: number, j: number): Entries => ({ dW: [i, j], ...(of("db") ? { db: [j] } : {}) });
  if (array.name === "dx") return [layer, { dx: index }];
  if (W?.shape.length === 2 && W.marked) { // y = x W + b: a unit has a column of W
    const [i, j] = W.marked as [number, number];
    if (gradient === "dW") return [layer, whole(index[0]!, index[1]!)];
    if (gradient === "db") return [layer, whole(i, index[0]!)];
    if (array.name === "x" && index.length === 2) return [layer, whole(index[1]!, j)];
    if (/^d?y$/.test(array.name)) return [layer, whole(i, index[1]!)];
    return null;
  }
  if (gradient) return [layer, { [gradient]: index }];
  return of("dx")?.shape.join() === array.shape.join() ? [layer, { dx: index }] : null;
}
