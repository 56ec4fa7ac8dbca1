// The two ends that a page can talk to: a socket now; a notebook widget or Pyodide has the same four calls.
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
    this.socket.onclose = ({ reason }) =>
      listener.closed(reason || "The server has stopped. Start it again with chainrule playground, then reload the page.");
  }

  send(request: Request): void {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(request));
  }

  close(): void {
    this.socket.onclose = null;
    this.socket.close();
  }
}
