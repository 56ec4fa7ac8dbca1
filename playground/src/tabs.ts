// Tabs as the ARIA pattern has them: one in the tab order, arrow keys between them.
import { fresh, h } from "./dom";

export interface Tabs {
  element: HTMLElement;
  open(name: string): void;
}

export function tabs(name: string, pages: Record<string, HTMLElement>): Tabs {
  const list = h("div", { role: "tablist", "aria-label": name, className: "tabs" });
  const made = new Map<string, HTMLButtonElement>();
  const element = h("section", { className: "lab", "aria-label": name }, list);
  const open = (wanted: string, focus = false): void => {
    for (const [title, tab] of made) {
      const chosen = title === wanted;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      pages[title]!.hidden = !chosen;
      if (chosen && focus) tab.focus();
    }
  };
  const titles = Object.keys(pages);
  for (const title of titles) {
    const page = pages[title]!;
    page.id = fresh("page");
    const tab = h("button", { type: "button", role: "tab", id: fresh("tab"), "aria-controls": page.id, onclick: () => open(title) }, title);
    page.setAttribute("role", "tabpanel");
    page.setAttribute("aria-labelledby", tab.id);
    made.set(title, tab);
    list.append(tab);
    element.append(page);
  }
  list.addEventListener("keydown", ({ key }) => {
    const now = titles.findIndex((title) => made.get(title)!.tabIndex === 0);
    const by = { ArrowRight: 1, ArrowLeft: -1 }[key] ?? 0;
    if (by) open(titles[(now + by + titles.length) % titles.length]!, true);
  });
  open(titles[0]!);
  return { element, open };
}
