// The points of the map: read from the binary answer, and a grid that finds those near a place.

import { bytes, named } from "./api.js";

const TYPES = { "<f4": Float32Array, u1: Uint8Array };
const CELLS = 256; // of the grid, in each direction

// {head, name: array, …} of an answer: the length of the head, the head as JSON, and arrays one after the other.
export function unpack(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  const result = { head };
  let at = 4 + size;
  for (const { name, type, shape } of head.arrays) {
    const length = shape.reduce((product, n) => product * n, 1);
    result[name] = new TYPES[type](buffer, at, length);
    at += result[name].byteLength;
  }
  return result;
}

export async function loadMap(source, signal) {
  const data = unpack(await bytes("/v1/map", named(source), signal));
  return { ...data, items: data.head.items, grid: grid(data.position) };
}

export const loadColours = async (source, feature, signal) => unpack(await bytes("/v1/map/colours", { feature, ...named(source) }, signal));

const cell = (value) => Math.max(0, Math.min(CELLS - 1, Math.floor(((value + 1) / 2) * CELLS)));

// Points sorted by cell: those of cell c are order[start[c]] … order[start[c + 1] - 1].
function grid(position) {
  const n = position.length / 2, start = new Uint32Array(CELLS * CELLS + 1), cells = new Uint16Array(n), order = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    cells[i] = cell(position[2 * i + 1]) * CELLS + cell(position[2 * i]);
    start[cells[i] + 1]++;
  }
  for (let c = 0; c < CELLS * CELLS; c++) start[c + 1] += start[c];
  const next = start.slice();
  for (let i = 0; i < n; i++) order[next[cells[i]]++] = i;
  return { start, order };
}

// Call visit(i) for the points whose cells touch a rectangle.
export function within({ grid: { start, order } }, left, bottom, right, top, visit) {
  for (let y = cell(bottom); y <= cell(top); y++) {
    for (let at = start[y * CELLS + cell(left)], end = start[y * CELLS + cell(right) + 1]; at < end; at++) visit(order[at]);
  }
}

// The nearest point to a place within a radius; -1 for none.
export function nearest(data, x, y, radius, shown = () => true) {
  let best = -1, least = radius * radius;
  within(data, x - radius, y - radius, x + radius, y + radius, (i) => {
    const distance = (data.position[2 * i] - x) ** 2 + (data.position[2 * i + 1] - y) ** 2;
    if (distance <= least && shown(i)) { best = i; least = distance; }
  });
  return best;
}

// The points inside a polygon of [x, y] corners.
export function inside(data, corners, shown = () => true) {
  const xs = corners.map(([x]) => x), ys = corners.map(([, y]) => y);
  const chosen = [];
  within(data, Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys), (i) => {
    const x = data.position[2 * i], y = data.position[2 * i + 1];
    let odd = false;
    for (let a = 0, b = corners.length - 1; a < corners.length; b = a++) {
      if ((ys[a] > y) !== (ys[b] > y) && x < ((xs[b] - xs[a]) * (y - ys[a])) / (ys[b] - ys[a]) + xs[a]) odd = !odd;
    }
    if (odd && shown(i)) chosen.push(i);
  });
  return chosen;
}
