// What a page can talk to: a socket here; the kernel of a notebook in widget.ts.
import { readBinary, type Binary } from "./frames";
import type { Request, Reply } from "./protocol";

export interface Listener {
  message(reply: Reply): void;
  binary(message: Binary): void;
  closed(reason: string): void;
}

export interface Transport {
  send(request: Request): void;
  close(): void;
}

export class SocketTransport implements Transport {
  private readonly socket: WebSocket;

  constructor(address: URL, listener: Listener) {
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }) => {
      if (typeof data === "string") listener.message(JSON.parse(data) as Reply);
      else listener.binary(readBinary(data as ArrayBuffer));
    };
    let opened = false;
    this.socket.onopen = () => { opened = true; };
    this.socket.onclose = ({ reason }) =>
      listener.closed(reason || (opened
        ? "The playground has stopped. Start it again with chainrule playground, and open the address that it prints."
        : "The playground did not let this page in. Open the address that chainrule playground printed, token and all, and no more than 8 pages."));
  }

  send(request: Request): void {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(request));
  }

  close(): void {
    this.socket.onclose = null;
    this.socket.close();
  }
}
