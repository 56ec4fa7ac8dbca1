// The colors of numbers: orange for negative, white (or the page's dark) for zero, blue for positive; safe for color blindness.
type Color = [number, number, number];

const ORANGE: Color = [0xd5, 0x5e, 0x00];
const BLUE: Color = [0x00, 0x72, 0xb2];
const LIGHT: Color = [0xff, 0xff, 0xff];
const DARK: Color = [0x1d, 0x21, 0x27];
const BRIGHT_ORANGE: Color = [0xf0, 0x84, 0x30];
const BRIGHT_BLUE: Color = [0x3d, 0x9f, 0xdc];
// Okabe and Ito's palette, ordered so that the first two are the ends of the scale above.
const CLASSES: Color[] = [
  ORANGE, BLUE, [0x00, 0x9e, 0x73], [0xcc, 0x79, 0xa7], [0xe6, 0x9f, 0x00], [0x56, 0xb4, 0xe9], [0xa0, 0x92, 0x00],
  [0x75, 0x55, 0xc4], [0x8c, 0x51, 0x2d], [0x66, 0x70, 0x7a],
];

const query = matchMedia("(prefers-color-scheme: dark)");
// The theme of a notebook or a site, whatever that of the system: JupyterLab's, VS Code's, Sphinx's.
const DARK_PAGE = "[data-jp-theme-light=false], [data-theme=dark], .vscode-dark";
const LIGHT_PAGE = "[data-jp-theme-light=true], [data-theme=light], .vscode-light";
const page = [document.documentElement, document.body];
export const isDark = (): boolean =>
  page.some((one) => one.matches(DARK_PAGE)) || (query.matches && !page.some((one) => one.matches(LIGHT_PAGE)));
const LEVELS = 256;
let scale = new Uint32Array(LEVELS);
let dark = isDark();

const packed = ([red, green, blue]: Color): number => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
const mixed = (from: Color, to: Color, share: number): Color =>
  from.map((value, k) => Math.round(value + (to[k]! - value) * share)) as Color;
const css = ([red, green, blue]: Color): string => `rgb(${red} ${green} ${blue})`;

const ends = (): [Color, Color, Color] =>
  dark ? [BRIGHT_ORANGE, DARK, BRIGHT_BLUE] : [ORANGE, LIGHT, BLUE];

function build(): void {
  const [low, middle, high] = ends();
  scale = Uint32Array.from({ length: LEVELS }, (_, k) => {
    const value = (2 * k) / (LEVELS - 1) - 1;
    return packed(mixed(middle, value < 0 ? low : high, Math.abs(value)));
  });
}

build();

const callbacks = new Set<() => void>();
const turn = (): void => {
  if (dark === isDark()) return;
  dark = !dark;
  build();
  for (const callback of callbacks) callback();
};
query.addEventListener("change", turn);
for (const one of page) new MutationObserver(turn).observe(one, { attributes: true });

/** Call back whenever the page turns dark or light, until `left`. */
export function onTheme(callback: () => void, left: AbortSignal): void {
  callbacks.add(callback);
  left.addEventListener("abort", () => callbacks.delete(callback));
}

/** The color of a number on a scale from -limit to limit. */
export function tint(value: number, limit: number): string {
  const [low, middle, high] = ends();
  const share = Math.min(1, Math.abs(value) / limit);
  return css(mixed(middle, value < 0 ? low : high, share));
}

export const sign = (value: number): string => (value < 0 ? "var(--negative)" : "var(--positive)");

export const classColor = (index: number): string => css(CLASSES[index % CLASSES.length]!);

/** Paint a square grid of numbers, its first row at the bottom, on a scale from -limit to limit. */
export function paintGrid(canvas: HTMLCanvasElement, grid: Float32Array, limit: number, discrete = false): void {
  const size = Math.round(Math.sqrt(grid.length));
  paint(canvas, size, (k) => {
    const value = discrete ? Math.sign(grid[k]!) * 0.5 : grid[k]! / limit;
    const level = value !== value ? 0.5 : (Math.max(-1, Math.min(1, value)) + 1) / 2;
    return scale[Math.round(level * (LEVELS - 1))]!;
  });
}

/** Paint the probabilities of several classes, one grid a class: each place has the color of its classes, mixed. */
export function paintClasses(canvas: HTMLCanvasElement, grids: Float32Array, classes: number, discrete = false): void {
  const cells = grids.length / classes;
  const pale = dark ? DARK : LIGHT;
  paint(canvas, Math.round(Math.sqrt(cells)), (k) => {
    let best = 0;
    for (let c = 1; c < classes; c += 1) if (grids[c * cells + k]! > grids[best * cells + k]!) best = c;
    const sure = discrete ? 0.8 : (grids[best * cells + k]! - 1 / classes) / (1 - 1 / classes);
    return packed(mixed(pale, CLASSES[best % CLASSES.length]!, 0.6 * Math.max(0, Math.min(1, sure))));
  });
}

/** Draw the values along a line, over an axis at zero. */
export function paintCurve(canvas: HTMLCanvasElement, values: Float32Array, limit: number): void {
  const size = 100;
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d")!;
  const style = getComputedStyle(canvas);
  const y = (value: number): number => size / 2 - (value / limit) * (size / 2 - 6);
  context.strokeStyle = style.getPropertyValue("--line");
  context.strokeRect(0, size / 2, size, 0);
  context.beginPath();
  values.forEach((value, k) => context.lineTo((k / (values.length - 1)) * size, y(value)));
  context.lineWidth = 5;
  context.strokeStyle = style.getPropertyValue("--positive");
  context.stroke();
}

function paint(canvas: HTMLCanvasElement, size: number, color: (k: number) => number): void {
  if (canvas.width !== size) canvas.width = canvas.height = size;
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(size, size);
  const pixels = new Uint32Array(image.data.buffer);
  for (let row = 0; row < size; row += 1)
    for (let column = 0; column < size; column += 1)
      pixels[(size - 1 - row) * size + column] = color(row * size + column);
  context.putImageData(image, 0, 0);
}
