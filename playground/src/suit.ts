import type { State } from "./protocol";

/** Give the network the output units and the loss that a data set asks for. */
export function suit(state: State, task: "classes" | "regression", outputs: number): void {
  const last = state.network.layers.findLast(({ type }) => type === "Dense");
  if (last) last.units = outputs;
  state.data.features = []; // of the inputs before
  state.network.loss = task === "regression" ? "squared_error" : outputs > 1 ? "softmax_cross_entropy" : "sigmoid_cross_entropy";
}
