// A binary message: a JSON header, and arrays of Float32 after it.
import type { Header } from "./protocol";

export interface Values {
  shape: number[];
  data: Float32Array;
}

type With<T> = T extends unknown ? T & { values: Map<string, Values> } : never;
export type Binary = With<Header>;
export type Frame = Extract<Binary, { kind: "frame" }>;

/** Read a message: u32 length of the header, the header, padding to 4 bytes, little-endian Float32. */
export function readBinary(buffer: ArrayBuffer): Binary {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length))) as Header;
  const start = (4 + length + 3) & ~3;
  const values = new Map<string, Values>();
  for (const { name, shape, offset } of header.arrays) {
    const count = shape.reduce((product, size) => product * size, 1);
    values.set(name, { shape, data: new Float32Array(buffer, start + offset, count) });
  }
  return { ...header, values };
}
