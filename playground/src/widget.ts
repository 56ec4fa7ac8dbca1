// The page in a cell of a notebook: a widget of anywidget, whose messages go through the kernel.
import { h } from "./dom";
import { readBinary } from "./frames";
import { mount } from "./mount";
import type { Reply, Request } from "./protocol";
import type { Listener, Transport } from "./transport";

interface Answer { to: string; message?: Reply }
type Hear = (answer: Answer, buffers: DataView[]) => void;

/** The part of anywidget's model that is used. */
export interface Model {
  get(name: "css"): string;
  send(content: unknown): void;
  on(name: "msg:custom", hear: Hear): void;
  on(name: "comm_live_update", hear: () => void): void;
  off(name: "msg:custom" | "comm_live_update", hear: Hear | (() => void)): void;
}

/** One network of a page: all networks of all views of a widget share its messages, so each has its own address. */
class CommTransport implements Transport {
  private readonly to = Math.random().toString(36).slice(2);

  constructor(private readonly model: Model, private readonly listener: Listener, second: boolean) {
    model.on("msg:custom", this.hear);
    model.on("comm_live_update", this.lost);
    model.send({ to: this.to, open: second ? "second" : "first" });
  }

  send(message: Request): void {
    this.model.send({ to: this.to, message });
  }

  close(): void {
    this.model.off("msg:custom", this.hear);
    this.model.off("comm_live_update", this.lost);
    this.model.send({ to: this.to, close: true });
  }

  private readonly hear: Hear = ({ to, message }, [frame]) => {
    if (to !== this.to) return;
    if (message) this.listener.message(message);
    else if (frame) this.listener.binary(readBinary(frame.buffer.slice(frame.byteOffset, frame.byteOffset + frame.byteLength) as ArrayBuffer));
  };

  private readonly lost = (): void => this.listener.closed("The kernel has stopped. Start it again, and run this cell.");
}

export function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  // In a shadow tree, the style sheets of the notebook and of the page do not see each other.
  const shadow = el.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(model.get("css"));
  shadow.adoptedStyleSheets = [sheet];
  const root = h("div", { className: "playground", role: "region", "aria-label": "chainrule playground" });
  shadow.append(root);
  // Keys are for the page, not for the notebook around it, which would move between cells or delete them.
  // Those with Ctrl or ⌘, such as to save, are for the notebook.
  const isForNotebook = (event: Event): boolean => (event as KeyboardEvent).ctrlKey || (event as KeyboardEvent).metaKey;
  const suppress = (event: Event): void => { el.toggleAttribute("data-lm-suppress-shortcuts", !isForNotebook(event)); };
  addEventListener("keydown", suppress, true); // before JupyterLab, which listens at the document
  for (const kind of ["keydown", "keypress", "keyup"])
    root.addEventListener(kind, (event) => { if (!isForNotebook(event)) event.stopPropagation(); });

  let networks = 0;
  const { close } = mount(root, {
    landmarks: false,
    open: (listener) => new CommTransport(model, listener, (networks += 1) > 1),
    initial: async () => null,
    remember: () => undefined,
    link: (fragment) => fragment,
  });
  // The tab is closed or loaded again: no one ends the view, but its networks would train on.
  const end = (): void => {
    removeEventListener("pagehide", end);
    removeEventListener("keydown", suppress, true);
    close();
  };
  addEventListener("pagehide", end);
  return end;
}
