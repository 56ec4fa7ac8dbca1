// The columns of the picture: a layer that makes units, with the layers after it that keep them.
import type { App } from "./app";
import type { LayerInfo } from "./protocol";

export interface Block {
  first: number; // the layer that makes the units
  last: number; // the layer whose output is shown
  units: number;
}

const KEEPS = ["Dropout", "GaussianNoise", "BatchNorm", "LayerNorm", "RMSNorm", "Scale"];

const size = (shape: number[]): number => shape.reduce((product, length) => product * length, 1);

export function blocks(app: App): Block[] {
  const found: Block[] = [];
  (app.configured?.layers ?? []).forEach((layer: LayerInfo, k) => {
    const keeps = app.known("layers", layer.type)?.activation || KEEPS.includes(layer.type);
    const before = found.at(-1);
    if (keeps && before) before.last = k;
    else found.push({ first: k, last: k, units: size(layer.output) });
  });
  return found;
}

/** Return the activation of a block and its layer, or null where it has none. */
export function activation(app: App, block: Block): { layer: number; type: string } | null {
  for (let layer = block.last; layer > block.first; layer -= 1) {
    const { type } = app.configured!.layers[layer]!;
    if (app.known("layers", type)?.activation) return { layer, type };
  }
  return null;
}
