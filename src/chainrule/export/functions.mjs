function floats(text) {
  return new Float32Array(bytes(text));
}

function doubles(text) {
  return new Float64Array(bytes(text));
}

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
}

function dense(x, W, b, n, m) { // b + x W
  const y = Float64Array.from(b);
  for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) y[j] += x[i] * W[i * m + j];
  return y;
}

function relu(x) {
  return x.map((v) => Math.max(v, 0));
}

function leaky_relu(x, slope) {
  return x.map((v) => (v < 0 ? slope * v : v));
}

function prelu(x, alpha, features) {
  return x.map((v, i) => (v < 0 ? alpha[i % features] * v : v));
}

function elu(x, alpha, scale) {
  return x.map((v) => scale * (v < 0 ? alpha * Math.expm1(v) : v));
}

function logistic(x) {
  return 1 / (1 + Math.exp(-x));
}

function sigmoid(x) {
  return x.map(logistic);
}

function tanh(x) {
  return x.map(Math.tanh);
}

function hard_sigmoid(x) {
  return x.map((v) => Math.min(Math.max(v / 6 + 0.5, 0), 1));
}

function log_one_plus_exp(x) { // cannot overflow
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

function softplus(x) {
  return x.map(log_one_plus_exp);
}

function silu(x) {
  return x.map((v) => v * logistic(v));
}

function gelu(x) {
  return x.map((v) => v * normal(v));
}

/** The normal distribution: a continued fraction in the tails, and a series between them. */
function normal(x) {
  const z = Math.min(Math.abs(x), 40), density = Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI);
  if (z > 4) {
    let tail = z;
    for (let k = 40; k > 0; k--) tail = z + k / tail;
    return x < 0 ? density / tail : 1 - density / tail;
  }
  let term = z, sum = z;
  for (let k = 3; k < 120; k += 2) sum += term *= z * z / k;
  return 0.5 + Math.sign(x) * density * sum;
}

function gelu_tanh(x) {
  return x.map((v) => v * logistic(2 * Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
}

function mish(x) {
  return x.map((v) => v * Math.tanh(log_one_plus_exp(v)));
}

function exp(x) {
  return x.map((v) => Math.exp(Math.min(v, 87)));
}

function affine(x, center, factor, shift, features) {
  return x.map((v, i) => (v - center[i % features]) * factor[i % features] + shift[i % features]);
}

function by_features(x, features, each) { // `each` takes the features at one place
  const y = new Float64Array(x.length);
  for (let at = 0; at < x.length; at += features) y.set(each(x.subarray(at, at + features)), at);
  return y;
}

function mean(x) {
  return x.reduce((sum, v) => sum + v, 0) / x.length;
}

function layer_norm(x, gamma, beta, features, epsilon) {
  return by_features(x, features, (part) => {
    const middle = mean(part), root = Math.sqrt(mean(part.map((v) => (v - middle) ** 2)) + epsilon);
    return part.map((v, i) => gamma[i] * (v - middle) / root + beta[i]);
  });
}

function rms_norm(x, gamma, features, epsilon) {
  return by_features(x, features, (part) => {
    const root = Math.sqrt(mean(part.map((v) => v * v)) + epsilon);
    return part.map((v, i) => gamma[i] * v / root);
  });
}

function softmax(x, features) {
  return by_features(x, features, (part) => {
    const most = part.reduce((a, b) => Math.max(a, b)), e = part.map((v) => Math.exp(v - most));
    const total = e.reduce((a, b) => a + b);
    return e.map((v) => v / total);
  });
}

function conv2d(x, W, b, height, width, channels, kh, kw, filters, groups, down, right, dilate_down, dilate_right,
                top, left, rows, columns) { // images are (height, width, channels)
  const y = new Float64Array(rows * columns * filters), share = filters / groups, each = channels / groups;
  for (let place = 0; place < rows * columns; place++) {
    const r = Math.floor(place / columns), c = place % columns;
    y.set(b, place * filters);
    for (let i = 0; i < kh; i++) for (let j = 0; j < kw; j++) {
      const h = r * down - top + i * dilate_down, v = c * right - left + j * dilate_right;
      if (h < 0 || h >= height || v < 0 || v >= width) continue;
      for (let f = 0; f < filters; f++) for (let k = 0; k < each; k++) {
        const pixel = x[(h * width + v) * channels + Math.floor(f / share) * each + k];
        y[place * filters + f] += pixel * W[((i * kw + j) * each + k) * filters + f];
      }
    }
  }
  return y;
}

function pool(x, height, width, channels, kh, kw, down, right, top, left, rows, columns, reduce) {
  const y = new Float64Array(rows * columns * channels);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) for (let k = 0; k < channels; k++) {
    const pixels = [];
    for (let i = 0; i < kh; i++) for (let j = 0; j < kw; j++) {
      const h = r * down - top + i, v = c * right - left + j;
      if (h >= 0 && h < height && v >= 0 && v < width) pixels.push(x[(h * width + v) * channels + k]);
    }
    y[(r * columns + c) * channels + k] = reduce(pixels);
  }
  return y;
}

function max_pool(x, height, width, channels, kh, kw, down, right, top, left, rows, columns) {
  return pool(x, height, width, channels, kh, kw, down, right, top, left, rows, columns, (p) => Math.max(...p));
}

function average_pool(x, height, width, channels, kh, kw, down, right, top, left, rows, columns) {
  return pool(x, height, width, channels, kh, kw, down, right, top, left, rows, columns, mean);
}

/** The other columns, then the rows of W that the chosen columns name. */
function embedding(x, W, chosen, others, first, many, width) {
  const y = Array.from(others, (i) => x[i]);
  chosen.forEach((column, i) => {
    const k = x[column];
    if (!(Number.isInteger(k) && k >= 0 && k < many[i])) {
      throw new Error(`expected categories 0 to ${many[i] - 1} in column ${column}, got ${k}.`);
    }
    y.push(...W.subarray((first[i] + k) * width, (first[i] + k + 1) * width));
  });
  return Float64Array.from(y);
}

function add(x, f) {
  return x.map((v, i) => v + f[i]);
}

function times(x, factor) {
  return x.map((v) => v * factor);
}

function mix(x, f, share) { // the mean of two models, of which the second has this share
  return x.map((v, i) => (1 - share) * v + share * f[i]);
}

function both(x) { // the probabilities of both classes, from that of the second
  return Float64Array.of(1 - x[0], x[0]);
}

function single(x) {
  return Float64Array.from(x, Math.fround);
}

function widen(x) {
  return x;
}

function join(...parts) {
  return Float64Array.from(parts.flatMap((part) => [...part]));
}

/** The value of a column as a number (NaN for missing), or as a text. */
function read(row, column) {
  const { name, kind, values, missing } = column;
  let value = Object.hasOwn(row, name) ? row[name] : undefined;
  if (value === undefined && !column.optional) {
    throw new Error(`${name} is missing: give null where a value is unknown.`);
  }
  const text = String(value ?? "").trim();
  const exact = column.read_as === "text" && kind !== "number" ? String(value ?? "") : text;
  const blank = (exact === "" && !values.includes("")) || column.holes.includes(text);
  const none = value === undefined || value === null || Number.isNaN(value) || blank;
  if (kind === "number") return none ? NaN : number(value, name);
  if (kind === "date") return none ? NaN : seconds(value, column);
  if (none) return kind === "yes/no" ? NaN : missing;
  const known = label(value, text, column);
  return kind === "yes/no" ? [NaN, 0, 1][values.indexOf(known) + 1] : known;
}

/** A category as in training: 1 and "1.0" are one. */
function label(value, text, { name, values, read_as }) {
  if (read_as === "text") return String(value);
  if (read_as === "boolean") {
    const found = new Map([["true", "true"], ["1", "true"], ["false", "false"], ["0", "false"]]).get(text.toLowerCase());
    if (found === undefined) throw new Error(`${name} is true or false, but got ${JSON.stringify(text)}.`);
    return found;
  }
  const exact = number(value, name);
  if (read_as === "number") return values.find((known) => number(known, name) === exact) ?? String(exact);
  if (!Number.isInteger(exact)) throw new Error(`${name} is an integer, but got ${JSON.stringify(value)}.`);
  return String(BigInt(/^[-+]?\d+$/.test(text) ? text.replace("+", "") : exact));
}

/** A number, also from a text; beyond 1e100 it is infinite. */
function number(value, name) {
  if (typeof value === "boolean") return Number(value);
  const text = String(value).trim().replace(/^([-+]?)inf(inity)?$/i, "$1Infinity");
  if (!/^[-+]?((\d+\.?\d*|\.\d+)(e[-+]?\d+)?|Infinity|nan)$/i.test(text)) {
    throw new Error(`${name} is a number, but got ${JSON.stringify(value)}.`);
  }
  const read = Number(text);
  return Math.abs(read) > 1e100 ? Math.sign(read) * Infinity : read;
}

/** Seconds since 1970 of a date: an ISO text, a Date (its time in UTC), or the seconds themselves. */
function seconds(value, column) {
  if (typeof value === "number" && column.read_as !== "whole") return value; // else digits, such as 20241231
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value.getTime() / 1000;
  const zone = column.zone === "" || column.zone === "UTC" ? "Z?" : "";
  const iso = ["%Y-%m-%d", "%Y-%m", ...["T", " "].flatMap((mark) => [`%Y-%m-%d${mark}%H:%M`, `%Y-%m-%d${mark}%H:%M:%S`])];
  for (const format of [...iso, ...column.formats]) {
    const codes = [];
    const pattern = format.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&").replace(/%([dmYHMS])/g, (_, code) => {
      codes.push(code);
      return code === "Y" ? "(\\d{4})" : code === "S" ? "(\\d\\d?(?:\\.\\d+)?)" : "(\\d\\d?)";
    });
    const found = new RegExp(`^${pattern}${zone}$`).exec(String(value).trim());
    const parts = { Y: 1900, m: 1, d: 1, H: 0, M: 0, S: 0 };
    codes.forEach((code, i) => { parts[code] = Number(found?.[i + 1]); });
    const days = days_since_1970(parts.Y, parts.m, parts.d), [y, m, d] = calendar(days);
    if (found && y === parts.Y && m === parts.m && d === parts.d && parts.H < 24 && parts.M < 60 && parts.S < 61) {
      return ((days * 24 + parts.H) * 60 + parts.M) * 60 + parts.S;
    }
  }
  throw new Error(`${column.name} is a date, but got ${JSON.stringify(value)}: write it as 2024-12-31.`);
}

function numbers(row, fields) {
  return Float64Array.from(fields, (name) => row[name]);
}

function pick(x, index) {
  return x.slice(index, index + 1);
}

function pick_all(x, index) {
  return Float64Array.from(index, (i) => x[i]);
}

function missing(x) {
  return x.map((v) => (Number.isNaN(v) ? 1 : 0));
}

function filled(x, values) {
  return x.map((v, i) => (Number.isNaN(v) ? values[i] : v));
}

/** Numbers that are scaled robustly and clipped smoothly; 0 for missing ones. */
function squash(x, center, factor, most) {
  return x.map((v, i) => {
    const z = (v - center[i]) * factor[i];
    if (Math.abs(v) === Infinity) return Math.sign(v) * most;
    return Number.isNaN(z) ? 0 : z / Math.sqrt(1 + (z / most) ** 2);
  });
}

/** The row of the table for a text, and the last row for any other text. */
function lookup(text, keys, table, width) {
  const i = keys.indexOf(text), row = i < 0 ? keys.length : i;
  return Float64Array.from(table.subarray(row * width, (row + 1) * width));
}

/** The row of the table for a number among the levels; `hole` for one that is not finite, `last` for others. */
function level(x, index, table, levels, width, hole, last) {
  const i = levels.indexOf(x[index]), row = i >= 0 ? i : Number.isFinite(x[index]) ? last : hole;
  return Float64Array.from(table.subarray(row * width, (row + 1) * width));
}

function days_since_1970(year, month, day) {
  const y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9; // a year from March
  const leap = Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400);
  return 365 * y + leap + Math.floor((153 * m + 2) / 5) + day - 719469;
}

function calendar(days) { // year, month and day
  const era = Math.floor((days + 719468) / 146097), rest = days + 719468 - era * 146097; // of 400 years from March
  const leap = Math.floor(rest / 36524) - Math.floor(rest / 1460) - Math.floor(rest / 146096);
  const within = Math.floor((rest + leap) / 365), year = within + 400 * era;
  const start = rest - 365 * within - Math.floor(within / 4) + Math.floor(within / 100);
  const month = Math.floor((5 * start + 2) / 153), day = start - Math.floor((153 * month + 2) / 5) + 1;
  return month < 10 ? [year, month + 3, day] : [year + 1, month - 9, day];
}

/** Parts of a date: plain ones are -1 - k, those on a circle k, each as a sine and a cosine. */
function dates(seconds, parts) {
  const days = Math.floor(seconds / 86400), hour = Math.floor((seconds - days * 86400) / 3600);
  const weekday = days + 3 - 7 * Math.floor((days + 3) / 7) + 1; // 1 January 1970 was a Thursday
  const of = [...calendar(days), hour, weekday, seconds], periods = [0, 12, 30, 24, 7, 0];
  return Float64Array.from([...parts].flatMap((k) => {
    if (!Number.isFinite(seconds)) return k < 0 ? [NaN] : [NaN, NaN];
    const angle = of[k] * (2 * Math.PI / periods[k]);
    return k < 0 ? [Math.fround(of[-1 - k])] : [Math.sin(angle), Math.cos(angle)];
  }));
}

/** MurmurHash3 of 32 bits (Appleby, 2011). */
function murmur(key) {
  const mixed = (k) => {
    k = Math.imul(k, 0xcc9e2d51);
    return Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  };
  let h = 0, k = 0;
  key.forEach((byte, i) => {
    k |= byte << (8 * (i & 3));
    if ((i & 3) === 3) {
      h ^= mixed(k);
      h = Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64;
      k = 0;
    }
  });
  h ^= mixed(k) ^ key.length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** Words of two letters or more, hashed, counted and weighted, and reduced to a few numbers. */
function words(text, idf, components, mean, scale, kept, buckets) {
  const counts = new Map();
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}_]{2,}/gu) ?? []) {
    const j = Math.abs(murmur(new TextEncoder().encode(word))) % buckets;
    counts.set(j, (counts.get(j) ?? 0) + 1);
  }
  const weights = [...counts].map(([j, count]) => [j, (1 + Math.log(count)) * idf[j]]);
  const norm = Math.sqrt(weights.reduce((sum, [, v]) => sum + v * v, 0)) || 1;
  return Float64Array.from({ length: kept }, (_, i) => {
    const total = weights.reduce((sum, [j, v]) => sum + components[i * buckets + j] * v, 0);
    return (total / norm - mean[i]) / scale[i];
  });
}

function scaled(x, center, factor) { // robust scale: 0 for missing values
  return x.map((v, i) => {
    const z = (v - center[i]) * factor[i];
    return Number.isNaN(z) ? 0 : Math.min(Math.max(z, -100), 100);
  });
}

function clip(x) { // smoothly to -3 ... 3
  return x.map((z) => z / Math.sqrt(1 + (z / 3) ** 2));
}

/** The clipped values, then a ramp from -1/2 to 1/2 for each piece of their ranges. */
function encode(x, index, low, width) {
  const u = clip(x);
  return join(u, Array.from(index, (of, i) => Math.min(Math.max((u[of] - low[i]) / width[i], 0), 1) - 0.5));
}

function unit(x, center, scale, low, high) {
  return x.map((v, i) => Math.min(Math.max(center[i] + scale[i] * v, low[i]), high[i]));
}

function exp_unit(x, center, scale, low, high, shift, most) { // for the logarithm of a target plus `shift`
  return x.map((v, i) => {
    const y = Math.exp(Math.min(center[i] + scale[i] * v, most[i])) - shift[i];
    return Math.min(Math.max(y, low[i]), high[i]);
  });
}
