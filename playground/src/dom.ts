// Elements in one call: h("button", { type: "button", onclick: run }, "Run").
type Child = Node | string | number | null | undefined | false;
type Properties = Record<string, unknown>;

const SVG = "http://www.w3.org/2000/svg";

function fill(element: Element, properties: Properties, children: Child[]): void {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value as EventListener);
    else if (name in element && !name.startsWith("aria") && !(element instanceof SVGElement) && name !== "list")
      (element as unknown as Properties)[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== null && child !== undefined && child !== false) element.append(child instanceof Node ? child : String(child));
}

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K, properties: Properties = {}, ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  fill(element, properties, children);
  return element;
}

export function s<K extends keyof SVGElementTagNameMap>(
  tag: K, properties: Properties = {}, ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag) as SVGElementTagNameMap[K];
  fill(element, properties, children);
  return element;
}

let counter = 0;

/** Return an identifier that no other element has. */
export function fresh(prefix: string): string {
  counter += 1;
  return `${prefix}-${counter}`;
}

/** A control under its label. */
export function field(label: string, control: HTMLElement, hint = ""): HTMLElement {
  control.id ||= fresh("field");
  return h("div", { className: "field" }, h("label", { htmlFor: control.id, title: hint }, label), control);
}

export function button(text: string, onclick: () => void, properties: Properties = {}): HTMLButtonElement {
  return h("button", { type: "button", onclick, ...properties }, text);
}

export function select(
  options: readonly (string | readonly [string, string])[], value: string, onchange: (value: string) => void,
  properties: Properties = {},
): HTMLSelectElement {
  const element = h("select", { onchange: () => onchange(element.value), ...properties });
  for (const option of options) {
    const [name, label] = typeof option === "string" ? [option, option] : option;
    element.append(h("option", { value: name, selected: name === value }, label));
  }
  return element;
}

/** A number with its range; calls back only with a number within it. */
export function number(
  value: number, onchange: (value: number) => void, properties: Properties = {},
): HTMLInputElement {
  const element = h("input", { type: "number", step: "any", inputMode: "decimal", ...properties });
  element.value = String(value);
  element.addEventListener("change", () => {
    const typed = element.valueAsNumber;
    element.setAttribute("aria-invalid", String(!element.checkValidity() || Number.isNaN(typed)));
    if (element.checkValidity() && !Number.isNaN(typed)) onchange(typed);
  });
  return element;
}

export function checkbox(label: string, checked: boolean, onchange: (on: boolean) => void): HTMLElement {
  const box = h("input", { type: "checkbox", checked, onchange: () => onchange(box.checked) });
  return h("label", { className: "check" }, box, label);
}

/** A range with its reading. */
export function slider(
  label: string, value: number, range: { min: number; max: number; step: number }, text: (value: number) => string,
  changed: (value: number) => void,
): HTMLElement {
  const reading = h("output", {}, text(value));
  const input = h("input", { type: "range", ...range });
  input.valueAsNumber = value;
  input.setAttribute("aria-valuetext", text(value));
  input.addEventListener("input", () => {
    reading.textContent = text(input.valueAsNumber);
    input.setAttribute("aria-valuetext", text(input.valueAsNumber));
    changed(input.valueAsNumber);
  });
  const made = field(label, input);
  made.classList.add("slider");
  made.firstElementChild!.append(reading);
  return made;
}

const nameOf = (element: Element): string =>
  element.getAttribute("aria-label") ?? (element as HTMLInputElement).labels?.[0]?.textContent ?? element.textContent ?? "";

/** The element that has the focus, also in a shadow tree. */
export const focused = (part: Element): Element | null => (part.getRootNode() as Document | ShadowRoot).activeElement;

/** Rebuild a part of the page; the control that had the focus has it again, found by its name. */
export function keepFocus(part: HTMLElement, build: () => void): void {
  const active = focused(part);
  const name = active && active !== part && part.contains(active) ? nameOf(active) : "";
  build();
  if (!name || part.contains(focused(part))) return;
  for (const control of part.querySelectorAll<HTMLElement>("button, input, select, textarea"))
    if (nameOf(control) === name) return control.focus({ preventScroll: true });
}

/** A number as a person reads it: four significant digits, a true minus sign. */
export function digits(value: number, places = 3): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(2) : value.toFixed(size >= 100 ? 1 : places);
  return text.replaceAll("-", "−");
}
