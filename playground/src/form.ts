// Fields for the arguments of any class of the library, made from its signature as the catalog tells it.
import type { App, Kind } from "./app";
import { checkbox, field, h, number, select } from "./dom";
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
    if (/\bint\b/.test(form)) part[name] = 4;
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
    const entries = app.catalog[nested].filter(({ fields }) => fields.every((f) => f.default !== undefined));
    const now = typeof value === "string" ? value : ((value as Part | null)?.type ?? "");
    const options: [string, string][] = entries.map(({ type }) => [type, type]);
    if (!options.some(([type]) => type === now)) options.unshift([now, now || "default"]);
    return field(label(name), select(options, now, (type) => set(type ? { type } : null)));
  }
  if (form.includes("bool")) return h("div", { className: "field" }, checkbox(label(name), Boolean(value), set));
  if (form.includes("Layer") || form.includes("Sequence")) return null;
  if (/\b(int|float)\b/.test(form) && (typeof value === "number" || value === undefined)) {
    const step = /\bint\b/.test(form) ? { step: 1 } : {};
    return field(label(name), number(Number(value ?? 0), set, step));
  }
  if (typeof value === "string") return field(label(name), h("input", { value, onchange: (event: Event) => set((event.target as HTMLInputElement).value) }));
  return null;
}
