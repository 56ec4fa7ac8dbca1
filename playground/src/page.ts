// The page in a browser's tab: a socket to the server that it came from, and the state in its address.
import { decodeState } from "./address";
import { h } from "./dom";
import { mount } from "./mount";
import { SocketTransport } from "./transport";

export function page(): void {
  const root = h("div", { className: "playground" });
  document.body.append(root);
  const socket = new URL(`ws${location.search}`, location.href);
  socket.protocol = socket.protocol.replace("http", "ws");
  socket.hash = "";
  const begin = location.hash;
  const { app } = mount(root, {
    landmarks: true,
    open: (listener) => new SocketTransport(socket, listener),
    initial: (which) => decodeState(begin, which),
    remember: (fragment) => history.replaceState(null, "", fragment),
    link: (fragment) => `${location.origin}${location.pathname}${fragment}`,
  });
  // A link pasted over this one.
  addEventListener("hashchange", () => void app.follow(location.hash));
}
