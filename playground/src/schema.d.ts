// Written by `npm run types` from src/chainrule/playground/schema.json: edit that.

/**
 * The messages of chainrule playground. Binary messages: a little-endian u32, the length of the header; the header as JSON, padded with spaces so that the data begin at a multiple of 4; Float32 little-endian.
 */
export type Playground = (ToServer | FromServer | BinaryHeader)
export type ToServer = ({
type: "configure"
state: State
} | {
type: "run"
pace?: (number | null)
} | {
type: "pause"
} | {
type: "step"
count: number
unit: ("step" | "epoch")
} | {
type: "back"
step: number
} | {
type: "reset"
} | {
type: "set"
layer: number
/**
 * Such as 'W', 'b', or '0.W' inside a Residual.
 */
name: string
index: number[]
value: number
} | {
type: "inspect"
sample: number
entries?: {
[k: string]: {
[k: string]: number[]
}
}
} | {
type: "check"
} | {
type: "backward"
layer: number
source: (string | null)
} | {
type: "sweep"
} | {
type: "surface"
} | {
type: "take"
what: ("python" | "notebook" | "model" | "onnx" | "c")
} | {
type: "ack"
frame: number
} | {
type: "look"
columns: ([]|[number]|[number, number] | null)
slice: (number[] | null)
})
export type FromServer = ({
type: "catalog"
version: string
state: State1
datasets: DataSet[]
/**
 * Functions of one or two inputs x and y.
 */
features: string[]
layers: Known[]
losses: Known[]
optimizers: Known[]
schedules: Known[]
/**
 * Penalties and constraints.
 */
penalties: Known[]
initializers: Known[]
/**
 * Planted mistakes: a wrong backward of a layer of this type.
 */
mistakes: {
layer: string
title: string
source: string
}[]
limits: {
[k: string]: number
}
lessons: {
name: string
title: string
state: State
}[]
} | {
type: "configured"
state: State
layers: LayerInfo[]
data: DataInfo
parameters: number
batches: number
outputs: number
} | {
type: "trace"
sample: number
value: number
value_after: (number | null)
prediction: number[]
steps: Operation[]
} | {
type: "verdict"
ok: boolean
text: string
error: (number | null)
order: (number | null)
parameters: {
name: string
layer: number
state: string
hint: string
error: (number | null)
}[]
} | {
type: "file"
name: string
base64: string
} | {
type: "note"
text: string
} | {
type: "error"
about: (string | null)
text: string
})
export type BinaryHeader = ({
kind: "frame"
frame: number
step: number
epoch: number
running: boolean
/**
 * Why training has ended, or null.
 */
ended: (string | null)
batch_loss: (number | null)
loss: (number | null)
val_loss: (number | null)
/**
 * Such as accuracy (training rows) and val_accuracy.
 */
metrics: {
[k: string]: number | null
}
arrays: ArrayHeader[]
} | {
kind: "data"
arrays: ArrayHeader[]
/**
 * The plane of the heat maps, or null if there is none.
 */
box: (Box | null)
} | {
kind: "surface"
arrays: ArrayHeader[]
} | {
kind: "sweep"
suggestion: (number | null)
arrays: ArrayHeader[]
})

export interface State {
data: Data
network: NetworkState
training: Training
lesson: Lesson
}
export interface Data {
/**
 * A name of catalog.datasets, or 'points' or 'csv'.
 */
name: string
samples: number
noise: number
/**
 * The share of rows held out: 0 for none, below 1.
 */
test: number
seed: number
/**
 * Whether inputs are standardized with the training rows.
 */
scale: boolean
points: ([number, number]|[number, number, number][] | null)
csv: (string | null)
/**
 * CSV: the input columns; empty for all of numbers but the target.
 */
columns: string[]
/**
 * CSV: the target column; empty for the last one.
 */
target: string
/**
 * Names of catalog.features, which become inputs; none by default.
 */
features?: string[]
/**
 * Points: whether the last number is a number to predict in place of a class; false by default.
 */
regression?: boolean
}
export interface NetworkState {
layers: Part[]
/**
 * A name or a part.
 */
loss: (string | Part)
seed: number
}
/**
 * A part of the library: the name of its class and its arguments, nested parts likewise.
 */
export interface Part {
type: string
[k: string]: unknown
}
export interface Training {
optimizer: Part
schedule: Part
batch_size: number
penalties: Part[]
epochs: number
seed: number
}
export interface Lesson {
hide: string[]
task: string
goal: (Goal | null)
}
export interface Goal {
metric: string
at_least: number
}
/**
 * The state to begin with.
 */
export interface State1 {
data: Data
network: NetworkState
training: Training
lesson: Lesson
}
export interface DataSet {
name: string
title: string
inputs: number
task: ("classes" | "regression")
outputs: number
}
export interface Known {
type: string
summary: string
fields: Field[]
/**
 * Optimizers: the names of their state vectors.
 */
slots?: string[]
/**
 * Layers: whether their backward can be edited.
 */
editable?: boolean
/**
 * Layers: the source of backward.
 */
source?: string
/**
 * Layers: whether it acts entry by entry.
 */
activation?: boolean
}
export interface Field {
name: string
/**
 * The annotation: int, float, bool, str, a kind of part such as 'Initializer', or alternatives with |.
 */
form: string
/**
 * As JSON; missing if required.
 */
default?: {
[k: string]: unknown
}
}
export interface LayerInfo {
type: string
/**
 * Such as 'Dense(8)'.
 */
title: string
input: number[]
output: number[]
/**
 * Names and shapes.
 */
parameters: {
[k: string]: number[]
}
edited: boolean
/**
 * The file in the package that defines it.
 */
file: string
/**
 * The line of its forward.
 */
forward: number
backward: number
}
export interface DataInfo {
rows: number
test_rows: number
inputs: number
/**
 * How many of the inputs, the last ones, are features.
 */
features: number
names: string[]
/**
 * Empty for regression.
 */
classes: string[]
/**
 * CSV: columns that are no inputs, as not every row has a number there.
 */
left_out: string[]
mean: number[]
scale: number[]
}
export interface Operation {
phase: string
layer: (number | string | null)
title: string
shapes: string
equations: string[]
arrays: {
name: string
shape: number[]
/**
 * Row by row; null if there are too many.
 */
values: ((number | null)[] | null)
marked: (number[] | null)
}[]
worked: string[]
checks: Check[]
symbols: {
[k: string]: number | null
}
code: {
title: string
text: string
}[]
}
export interface Check {
entry: string
analytic: (number | null)
numeric: (number | null)
h: number
ok: boolean
quotient: string
measure: string
}
export interface ArrayHeader {
name: string
shape: number[]
/**
 * Bytes from the end of the padded header.
 */
offset: number
}
export interface Box {
/**
 * The inputs along the axes; empty for principal components.
 */
columns: number[]
names: string[]
/**
 * Rows and columns of a heat map: [50, 50], or [1, 200] for one input.
 */
shape: number[]
/**
 * Range of the first column, along a row.
 */
x: number[]
/**
 * Range of the second column, from the first row to the last.
 */
y: (number[] | null)
slice: number[]
}
