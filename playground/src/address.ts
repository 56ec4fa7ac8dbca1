// The state in the page's address: JSON, deflated, in base64url. A link is a lesson.
import type { State } from "./protocol";

async function through(bytes: Uint8Array, transform: CompressionStream | DecompressionStream): Promise<Uint8Array> {
  const stream = new Blob([bytes as BlobPart]).stream().pipeThrough(transform as unknown as ReadableWritablePair<Uint8Array, Uint8Array>);
  return new Uint8Array(await new Response(stream as unknown as ReadableStream).arrayBuffer());
}

export async function encodeState(state: State): Promise<string> {
  const bytes = await through(new TextEncoder().encode(JSON.stringify(state)), new CompressionStream("deflate"));
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Return a state of a fragment, which has two for two networks, or null where it holds none that can be read. */
export async function decodeState(fragment: string, which = 0): Promise<State | null> {
  const text = fragment.replace(/^#/, "").split(".")[which];
  if (!text) return null;
  try {
    const raw = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = await through(Uint8Array.from(raw, (letter) => letter.charCodeAt(0)), new DecompressionStream("deflate"));
    const state = JSON.parse(new TextDecoder().decode(bytes)) as Partial<State>;
    return state.data && state.network && state.training ? (state as State) : null;
  } catch {
    return null;
  }
}
