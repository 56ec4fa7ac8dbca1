// Taking the network home: files from the server, and a link that holds the state.
import type { App } from "./app";
import { button, h } from "./dom";
import { lessonFields } from "./lesson";

const KINDS = [
  ["python", "Python", "The call of train that gives this network, to the bit"],
  ["notebook", "Notebook", "The same as a Jupyter notebook"],
  ["model", "Model file", "The trained network, for chainrule.load"],
  ["onnx", "ONNX", "The trained network, for any ONNX runtime"],
  ["c", "C", "The trained network as C source"],
] as const;

function save(name: string, base64: string): void {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const link = h("a", { href: URL.createObjectURL(new Blob([bytes])), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export function takeHomeTab(app: App): HTMLElement {
  const said = h("p", { className: "note", role: "status" });
  app.on("reply", (reply) => {
    if (reply.type !== "file") return;
    save(reply.name, reply.base64);
    said.textContent = `Saved ${reply.name}.`;
  });
  const copy = async (): Promise<void> => {
    const link = app.link();
    try {
      await navigator.clipboard.writeText(link);
      said.textContent = "The link is copied. It holds the data, the network and the settings. Open it with chainrule playground LINK, in quotation marks.";
    } catch {
      said.textContent = link;
    }
  };
  return h("div", { className: "two" }, h("div", { className: "stack" },
    h("h3", {}, "Take it home"),
    h("ul", { className: "takes" }, ...KINDS.map(([what, title, text]) =>
      h("li", {}, button(title, () => app.send({ type: "take", what }), { "aria-label": `Save as ${title}` }), h("span", { className: "note" }, text))),
    h("li", {}, button("Copy link", () => void copy()), h("span", { className: "note" }, "This page's settings as an address"))),
    said),
  h("div", { className: "stack" }, h("h3", {}, "Make a lesson"), h("p", { className: "note" }, "Everything below becomes part of the link."), lessonFields(app)));
}
