// Packed arrays and texts: base64 -> inflate -> planes of bytes -> numbers. The other end of packing.py.

const LENGTHS = [], DISTANCES = [];
for (let i = 0, base = 3; i < 28; i++) {
  const extra = i < 8 ? 0 : (i >> 2) - 1;
  LENGTHS.push([base, extra]);
  base += 1 << extra;
}
LENGTHS.push([258, 0]);
for (let i = 0, base = 1; i < 30; i++) {
  const extra = i < 4 ? 0 : (i >> 1) - 1;
  DISTANCES.push([base, extra]);
  base += 1 << extra;
}
const CODE_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

// A table from the next `bits` bits of the stream to (symbol << 4 | length of its code).
function huffmanTable(lengths) {
  const bits = Math.max(1, ...lengths);
  const count = new Array(bits + 2).fill(0), next = new Array(bits + 2).fill(0);
  for (const length of lengths) if (length) count[length]++;
  for (let b = 1, code = 0; b <= bits; b++) next[b] = code = (code + (b > 1 ? count[b - 1] : 0)) << 1;
  const table = new Uint16Array(1 << bits);
  lengths.forEach((length, symbol) => {
    if (!length) return;
    let code = next[length]++, reversed = 0;
    for (let b = 0; b < length; b++) { reversed = reversed << 1 | code & 1; code >>= 1; }
    for (let at = reversed; at < table.length; at += 1 << length) table[at] = symbol << 4 | length;
  });
  return { table, bits };
}

// Raw DEFLATE (RFC 1951) of known size. Browsers have DecompressionStream only since 2023, and it waits.
function inflate(source, size) {
  const out = new Uint8Array(size);
  let at = 0, held = 0, n = 0, to = 0, last = 0;
  const need = (wanted) => { while (n < wanted) { held |= (source[at++] || 0) << n; n += 8; } };
  const take = (wanted) => {
    if (!wanted) return 0;
    need(wanted);
    const value = held & (1 << wanted) - 1;
    held >>>= wanted; n -= wanted;
    return value;
  };
  const symbol = ({ table, bits }) => {
    need(bits);
    const entry = table[held & (1 << bits) - 1], length = entry & 15;
    held >>>= length; n -= length;
    return entry >> 4;
  };
  while (!last) {
    last = take(1);
    const kind = take(2);
    if (kind === 0) {
      at -= n >> 3; held = n = 0;
      const length = source[at] | source[at + 1] << 8;
      out.set(source.subarray(at + 4, at + 4 + length), to);
      at += 4 + length; to += length;
      continue;
    }
    let literals, distances;
    if (kind === 1) {
      const fixed = Array.from({ length: 288 }, (_, i) => i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8);
      literals = huffmanTable(fixed);
      distances = huffmanTable(new Array(30).fill(5));
    } else {
      const nLiterals = take(5) + 257, nDistances = take(5) + 1, nCodes = take(4) + 4;
      const codes = new Array(19).fill(0);
      for (let i = 0; i < nCodes; i++) codes[CODE_ORDER[i]] = take(3);
      const table = huffmanTable(codes), lengths = [];
      while (lengths.length < nLiterals + nDistances) {
        const s = symbol(table);
        if (s < 16) { lengths.push(s); continue; }
        const value = s === 16 ? lengths[lengths.length - 1] : 0;
        for (let i = s === 16 ? 3 + take(2) : s === 17 ? 3 + take(3) : 11 + take(7); i; i--) lengths.push(value);
      }
      literals = huffmanTable(lengths.slice(0, nLiterals));
      distances = huffmanTable(lengths.slice(nLiterals));
    }
    // The loop that takes the time: its state in variables of its own.
    const { table, bits } = literals, near = distances.table, nearBits = distances.bits;
    const mask = (1 << bits) - 1, nearMask = (1 << nearBits) - 1;
    let i = at, h = held, m = n, o = to;
    for (;;) {
      while (m < bits) { h |= source[i++] << m; m += 8; }
      const entry = table[h & mask];
      h >>>= entry & 15; m -= entry & 15;
      const s = entry >> 4;
      if (s < 256) { out[o++] = s; continue; }
      if (s === 256) break;
      let length = LENGTHS[s - 257][0], extra = LENGTHS[s - 257][1];
      while (m < extra) { h |= source[i++] << m; m += 8; }
      length += h & (1 << extra) - 1;
      h >>>= extra; m -= extra;
      while (m < nearBits) { h |= source[i++] << m; m += 8; }
      const back = near[h & nearMask];
      h >>>= back & 15; m -= back & 15;
      extra = DISTANCES[back >> 4][1];
      while (m < extra) { h |= source[i++] << m; m += 8; }
      let from = o - DISTANCES[back >> 4][0] - (h & (1 << extra) - 1);
      h >>>= extra; m -= extra;
      if (o + length > size || from < 0) throw new Error("packed data are damaged");
      for (const end = o + length; o < end;) out[o++] = out[from++];
    }
    at = i; held = h; n = m; to = o;
  }
  return out;
}

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
function base64Bytes(text) {
  const code = new Uint8Array(128);
  for (let i = 0; i < 64; i++) code[BASE64.charCodeAt(i)] = i;
  const size = text.length / 4 * 3 - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0);
  const out = new Uint8Array(size);
  for (let i = 0, to = 0; i < text.length; i += 4) {
    const four = code[text.charCodeAt(i)] << 18 | code[text.charCodeAt(i + 1)] << 12
      | code[text.charCodeAt(i + 2)] << 6 | code[text.charCodeAt(i + 3)];
    out[to++] = four >> 16; out[to++] = four >> 8; out[to++] = four;
  }
  return out;
}

// Numbers with their shape: Float32Array of real ones (NaN where there is none), Uint16Array of codes.
function unpack(record) {
  if (!record) return null;
  const { bits, shape, low, step } = record;
  const size = shape.reduce((a, b) => a * b, 1);
  const bytes = inflate(base64Bytes(record.data), size * bits / 8);
  const real = step !== undefined, none = bits === 8 ? 255 : 65535;
  const values = real ? new Float32Array(size) : new Uint16Array(size);
  for (let i = 0; i < size; i++) {
    const code = bits === 8 ? bytes[i] : bytes[i] | bytes[size + i] << 8;
    values[i] = !real ? code : code === none ? NaN : low + step * code;
  }
  return { values, shape };
}

function unpackTexts(record) {
  const bytes = inflate(base64Bytes(record.data), record.bytes);
  return JSON.parse(new TextDecoder().decode(bytes));
}
