// The messages under the names that the page uses; their shapes are those of the server's schema.
import type { BinaryHeader, FromServer, ToServer } from "./schema";

export type { Box, Field, Known, LayerInfo, Operation, Part, State } from "./schema";
export type Request = ToServer;
export type Reply = FromServer;
export type Header = BinaryHeader;
export type Catalog = Extract<FromServer, { type: "catalog" }>;
export type Configured = Extract<FromServer, { type: "configured" }>;
export type Trace = Extract<FromServer, { type: "trace" }>;
export type Verdict = Extract<FromServer, { type: "verdict" }>;
