// Fields for the arguments of any class of the library, made from its signature as the catalog tells it.
import type { App, Kind } from "./app";
import { button, checkbox, field, h, number, select } from "./dom";
import type { Field, Part } from "./protocol";

const LABELS: Record<string, string> = { weights: "initial weights", biases: "initial biases" };

export const label = (name: string): string => {
  const text = (LABELS[name] ?? name).replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
};

const kindOf = (form: string): Kind | null =>
  form.includes("Initializer") ? "initializers" : form.includes("Schedule") ? "schedules" : null;

/** Return a part of a type, its required arguments filled in. */
export function fresh(app: App, kind: Kind, type: string): Part {
  const part: Part = { type };
  for (const { name, form, default: value } of app.known(kind, type)?.fields ?? []) {
    if (value !== undefined) continue;
    const nested = kindOf(form);
    if (nested) part[name] = { type: app.catalog[nested][0]!.type };
    else if (/\bint\b/.test(form)) part[name] = 4;
    else if (form.includes("float")) part[name] = name === "epochs" ? 5 : type === "Exponential" ? 0.99 : name === "limit" ? 2 : 0.1;
  }
  return part;
}

/** Return the fields of a part; `changed` is called after the part has been written to. */
export function fields(app: App, kind: Kind, part: Part, changed: () => void, skip: string[] = []): HTMLElement[] {
  const made: HTMLElement[] = [];
  for (const argument of app.known(kind, part.type)?.fields ?? []) {
    if (skip.includes(argument.name)) continue;
    const control = one(app, part, argument, changed);
    if (control) made.push(control);
  }
  return made;
}

function one(app: App, part: Part, { name, form, default: initial }: Field, changed: () => void): HTMLElement | null {
  const value = part[name] ?? initial;
  const set = (next: unknown): void => {
    part[name] = next;
    changed();
  };
  const nested = kindOf(form);
  if (nested) {
    const now = typeof value === "string" ? { type: value } : (value as Part | null);
    const options: [string, string][] = app.catalog[nested].map(({ type }) => [type, type]);
    if (!options.some(([type]) => type === now?.type)) options.unshift([now?.type ?? "", now?.type ?? "default"]);
    const choice = field(label(name), select(options, now?.type ?? "", (type) => set(type ? fresh(app, nested, type) : null)));
    const inner = now ? fields(app, nested, now, () => set(now)) : [];
    return inner.length ? h("div", { className: "fields nested", role: "group", "aria-label": label(name) }, choice, ...inner) : choice;
  }
  if (form === "Sequence[Layer]") return layers(app, value as Part[], set);
  if (/Sequence\[int\]/.test(form) && (typeof value === "number" || Array.isArray(value)))
    return field(label(name), h("input", { value: [value].flat().join(", "), onchange: (event: Event) => {
      const numbers = (event.target as HTMLInputElement).value.split(",").map(Number);
      set(numbers.length > 1 ? numbers : numbers[0]);
    } }), "One number, or several separated by commas");
  if (form.includes("bool")) return h("div", { className: "field" }, checkbox(label(name), Boolean(value), set));
  if (/\b(int|float)\b/.test(form) && (typeof value === "number" || value === undefined)) {
    const step = /\bint\b/.test(form) ? { step: 1 } : {};
    return field(label(name), number(Number(value ?? 0), set, step));
  }
  if (typeof value === "string") return field(label(name), h("input", { value, onchange: (event: Event) => set((event.target as HTMLInputElement).value) }));
  return null;
}

/** The layers inside a layer. */
function layers(app: App, list: Part[], set: (list: Part[]) => void): HTMLElement {
  const types = app.catalog.layers.map(({ type }) => [type, type] as const);
  return h("div", { className: "fields nested", role: "group", "aria-label": "Inner layers" },
    ...list.map((inner, k) => h("div", { className: "fields", role: "group", "aria-label": `Inner layer ${k + 1}` },
      field(`Inner layer ${k + 1}`, select(types, inner.type, (type) => set(list.with(k, fresh(app, "layers", type))))),
      ...fields(app, "layers", inner, () => set(list)),
      button("Remove", () => set(list.toSpliced(k, 1)), { disabled: list.length < 2, "aria-label": `Remove inner layer ${k + 1}` }))),
    field("Add an inner layer", select([["", "choose"], ...types], "", (type) => set([...list, fresh(app, "layers", type)]))));
}
