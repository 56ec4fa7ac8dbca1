// What the page knows, and who wants to hear when it changes.
import { decodeState } from "./address";
import type { Binary, Frame } from "./frames";
import type { Box, Catalog, Configured, Known, Reply, Request, State } from "./protocol";
import type { Listener, Transport } from "./transport";

type Data = Extract<Binary, { kind: "data" }>;

const LONGEST_PRESS = 2000; // milliseconds: the release may be outside the window

interface Events {
  catalog: Catalog;
  configured: Configured;
  data: Data;
  frame: Frame;
  binary: Binary;
  reply: Reply;
  running: boolean;
  asked: Request; // a step, back or to the start
  selected: Selection | null;
  said: string;
  note: string;
  reverted: State;
  traced: number | null;
  operation: number | null;
  refused: { about: string | null; text: string };
  closed: string;
}

/** Entries of gradients, by layer and gradient. */
export type Entries = Record<string, Record<string, number[]>>;

/** A unit of a layer, or (unit null) the layer itself. */
export interface Selection {
  layer: number;
  unit: number | null;
  source?: number; // the weight to edit
}

export type Kind = "layers" | "losses" | "optimizers" | "schedules" | "penalties" | "initializers";

/** How far training goes between two pictures. */
export type Pace = "step" | "epoch" | "all";

export class App implements Listener {
  private readonly leaving = new AbortController();
  readonly left = this.leaving.signal;

  /** `root` has the whole page; `name` stands before the names of the parts of a second network. */
  constructor(readonly root: HTMLElement, private readonly name = "") {
    const press = ({ target }: Event): void => {
      if (target instanceof Element && target.closest("button, label")) this.hold();
    };
    const heard = { capture: true, signal: this.left };
    root.addEventListener("pointerdown", press, heard);
    root.addEventListener("keydown", (event) => {
      if (event.key === " " && !event.repeat) press(event); // Enter clicks at once
    }, heard);
  }

  state!: State;
  catalog!: Catalog;
  configured: Configured | null = null;
  data: Data | null = null;
  frame: Frame | null = null;
  running = false;
  pace: Pace = "epoch";
  selected: Selection | null = null;
  traced: number | null = null;
  entries: Entries = {}; // that the trace works out, in place of the largest
  partner: App | null = null; // the other network of two in step

  private transport: Transport | null = null;
  private readonly listeners: { [name in keyof Events]?: ((event: Events[name]) => void)[] } = {};
  private waiting: Frame | null = null;
  private timer = 0;
  private seen = false; // a frame of the run that was asked for
  private owed = 0; // the frame to acknowledge
  private held: (() => void)[] | null = null; // messages that came while a button was pressed
  private initial: () => Promise<State | null> = async () => null;

  connect(open: (listener: Listener) => Transport, initial: () => Promise<State | null>): void {
    this.initial = initial;
    this.transport = open(this);
  }

  /** Leave the server, and whatever else would call back. */
  close(): void {
    this.leaving.abort();
    this.transport?.close();
    this.setRunning(false);
  }

  /** The name of a part, apart from that of the other network. */
  named(part: string): string {
    return this.name ? `${this.name}: ${part}` : part;
  }

  on<K extends keyof Events>(name: K, listener: (event: Events[K]) => void, until?: AbortSignal): void {
    const all: ((event: Events[K]) => void)[] = (this.listeners[name] ??= []);
    all.push(listener);
    until?.addEventListener("abort", () => all.splice(all.indexOf(listener), 1));
  }

  emit<K extends keyof Events>(name: K, event: Events[K]): void {
    for (const listener of [...(this.listeners[name] ?? [])]) listener(event);
  }

  /** The plane of the heat maps. */
  get box(): Box | null {
    return this.data?.box ?? null;
  }

  known(kind: Kind, type: string): Known | undefined {
    return this.catalog[kind].find((entry) => entry.type === type);
  }

  send(request: Request): void {
    this.transport?.send(request);
  }

  /** Change the state and start over with it; changes in quick succession are sent as one. */
  edit(change: (state: State) => void): void {
    change(this.state);
    this.setRunning(false);
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      this.timer = 0;
      this.send({ type: "configure", state: this.state });
    }, 60);
  }

  run(): void {
    this.setRunning(!this.running);
    if (!this.running) this.send({ type: "pause" });
    else if (this.configured && !this.timer) this.advance(); // else as soon as there is the network that was asked for
  }

  setPace(pace: Pace): void {
    if (pace === this.pace) return;
    this.pace = pace;
    this.partner?.setPace(pace);
    if (this.running && this.configured) this.advance();
  }

  // Of two networks in step, the one ahead waits for the other.
  private acknowledge(): void {
    const far = ({ frame }: App): number => (this.pace === "epoch" ? frame?.epoch : frame?.step) ?? Infinity;
    if (!this.owed || (this.running && this.partner?.running && far(this) > far(this.partner))) return;
    this.send({ type: "ack", frame: this.owed });
    this.owed = 0;
  }

  private advance(): void {
    const pace = { step: 1, epoch: this.configured!.batches, all: null }[this.pace];
    this.send({ type: "run", pace });
  }

  step(unit: "step" | "epoch"): void {
    this.setRunning(false);
    this.move({ type: "step", count: 1, unit });
  }

  back(step = (this.frame?.step ?? 0) - 1): void {
    this.setRunning(false);
    if (this.frame && step >= 0 && step <= this.frame.step) this.move({ type: "back", step });
  }

  reset(): void {
    this.setRunning(false);
    this.move({ type: "reset" });
  }

  private move(request: Request): void {
    this.send(request);
    this.emit("asked", request);
  }

  select(selected: Selection | null): void {
    this.selected = selected;
    this.emit("selected", selected);
  }

  /** Take the state of an address. */
  async follow(fragment: string): Promise<void> {
    const state = await decodeState(fragment);
    if (state) this.edit(() => { this.state = state; });
    else this.emit("refused", { about: null, text: "This link holds no state of the playground." });
  }

  /** The link to this page's state. */
  link = (): string => "";

  /** Ask for the worked example of a training row. */
  trace(sample: number): void {
    this.traced = sample;
    this.send({ type: "inspect", sample, entries: this.entries });
    this.emit("traced", sample);
  }

  /** Have a screen reader say a sentence. */
  say(text: string): void {
    this.emit("said", text);
  }

  // With a new network, buttons are made anew: one that is replaced before its release would lose the click.
  private hold(): void {
    const held: (() => void)[] = (this.held ??= []);
    const over = new AbortController();
    const release = (): void => {
      over.abort();
      if (this.held !== held) return;
      this.held = null;
      for (const hear of held) hear();
    };
    for (const name of ["pointerup", "pointercancel", "keyup"]) // after them comes the click
      addEventListener(name, () => { setTimeout(release); }, { capture: true, signal: over.signal });
    setTimeout(release, LONGEST_PRESS);
  }

  private inTurn(hear: () => void): void {
    if (this.held) this.held.push(hear);
    else hear();
  }

  message(reply: Reply): void {
    this.inTurn(() => this.heard(reply));
  }

  binary(message: Binary): void {
    this.inTurn(() => this.taken(message));
  }

  private heard(reply: Reply): void {
    if (reply.type === "catalog") void this.start(reply);
    else if (reply.type === "configured") this.settle(reply);
    else if (reply.type === "error") this.refused(reply.about, reply.text);
    else if (reply.type === "note") this.emit("note", reply.text);
    else this.emit("reply", reply);
  }

  private taken(message: Binary): void {
    if (message.kind === "frame") this.receive(message);
    else if (message.kind === "data") {
      this.data = message;
      this.emit("data", message);
    } else this.emit("binary", message);
  }

  closed(reason: string): void {
    this.setRunning(false);
    this.emit("closed", reason);
  }

  // A state that was refused is not kept: the page shows the one that the server has.
  private refused(about: string | null, text: string): void {
    this.emit("refused", { about, text });
    if (!this.configured || !/^(state|data|network|training\.|lesson)/.test(about ?? "")) return;
    this.state = structuredClone(this.configured.state);
    this.emit("reverted", this.state);
  }

  private setRunning(running: boolean): void {
    if (running === this.running) return;
    this.running = running;
    this.seen = false;
    this.emit("running", running);
    this.acknowledge();
    this.partner?.acknowledge();
  }

  // A frame is drawn with the screen's next picture; one that comes before that takes its place.
  private receive(frame: Frame): void {
    const idle = this.waiting === null;
    this.waiting = frame;
    if (!idle) return;
    const draw = (): void => {
      const newest = this.waiting;
      this.waiting = null;
      if (!newest) return;
      this.frame = newest;
      // Frames sent before the server heard of a click do not turn the button back.
      if (this.running && (newest.ended !== null || (this.seen && !newest.running))) this.setRunning(false);
      this.seen ||= newest.running;
      this.emit("frame", newest);
      this.owed = newest.frame;
      this.acknowledge();
      this.partner?.acknowledge();
    };
    if (document.hidden) setTimeout(draw, 100);
    else requestAnimationFrame(draw);
  }

  private async start(catalog: Catalog): Promise<void> {
    this.catalog = catalog;
    this.state = (await this.initial()) ?? structuredClone(catalog.state);
    this.emit("catalog", catalog);
    this.send({ type: "configure", state: this.state });
  }

  private settle(configured: Configured): void {
    if (this.waiting) this.owed = this.waiting.frame; // of the network before
    this.acknowledge();
    this.waiting = this.frame = this.data = null;
    this.traced = null;
    this.entries = {};
    this.configured = configured;
    if (!this.timer) this.state = structuredClone(configured.state); // else the page has a newer one, not sent yet
    const { selected } = this;
    if (selected && (selected.layer >= configured.layers.length
      || (selected.unit ?? 0) >= (configured.layers[selected.layer]!.output[0] ?? 0))) this.select(null);
    this.emit("configured", configured);
    if (this.running) this.advance();
  }
}
