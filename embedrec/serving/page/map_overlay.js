// What is drawn above the points: names without overlap, the chosen item and its neighbours, the lasso.

const ITEM_FONT = "12px system-ui, sans-serif", CLUSTER_FONT = "600 13px system-ui, sans-serif";
const ROOM = 15000; // square pixels a name

export function drawOverlay(canvas, camera, { data, marks, hovered, lasso, colours, names, focused, shown }) {
  const pen = canvas.getContext("2d");
  pen.setTransform(camera.dense, 0, 0, camera.dense, 0, 0);
  pen.clearRect(0, 0, camera.wide, camera.tall);
  pen.lineJoin = "round";
  const taken = [], at = (row) => camera.place(data.position[2 * row], data.position[2 * row + 1]);
  const ring = (row, radius, width) => {
    const [x, y] = at(row);
    pen.beginPath(); pen.arc(x, y, radius, 0, 7); pen.lineWidth = width + 2; pen.strokeStyle = colours.card; pen.stroke();
    pen.lineWidth = width; pen.strokeStyle = colours.ink; pen.stroke();
  };
  marks.forEach((row, rank) => ring(row, rank ? 5 : 9, rank ? 1.5 : 2.5));
  if (hovered >= 0) ring(hovered, 6, 2);
  let room = Math.max(6, Math.floor((camera.wide * camera.tall) / ROOM));
  for (const row of marks) if (names.has(row)) write(pen, camera, names.get(row), ...at(row), 10, ITEM_FONT, colours, taken);
  const written = [];
  if (camera.zoom < 4 && data.head.clusters.length > 1) {
    for (const cluster of [...data.head.clusters].sort((a, b) => b.items - a.items)) {
      if (!shown.cluster(cluster)) continue;
      const done = write(pen, camera, cluster.text, ...camera.place(cluster.x, cluster.y), -1, CLUSTER_FONT, colours, taken);
      room -= done;
      if (done) written.push(cluster.text);
    }
  }
  const named = new Set(marks);
  for (const label of data.head.labels) {
    if (room <= 0) break;
    if (written.some((text) => text.endsWith(label.text)) || named.has(label.row)) continue;
    if (shown.row(label.row)) room -= write(pen, camera, label.text, ...camera.place(label.x, label.y), 5, ITEM_FONT, colours, taken);
  }
  if (lasso.length > 1) {
    pen.beginPath(); lasso.forEach(([x, y]) => pen.lineTo(x, y)); pen.closePath();
    pen.fillStyle = colours.wash; pen.globalAlpha = 0.5; pen.fill(); pen.globalAlpha = 1;
    pen.strokeStyle = colours.mark; pen.lineWidth = 1.5; pen.setLineDash([5, 4]); pen.stroke(); pen.setLineDash([]);
  }
  if (focused) { // what Enter chooses is near the middle
    const x = camera.wide / 2, y = camera.tall / 2;
    pen.strokeStyle = colours.mark; pen.lineWidth = 1.5; pen.beginPath();
    for (const [a, b] of [[-10, -4], [4, 10]]) { pen.moveTo(x + a, y); pen.lineTo(x + b, y); pen.moveTo(x, y + a); pen.lineTo(x, y + b); }
    pen.stroke();
  }
  return taken;
}

// Write a text beside a place, or in its middle with a gap of -1; on the first side that is free. 1 if there is one.
function write(pen, camera, text, x, y, gap, font, colours, taken) {
  if (x < 0 || y < 0 || x > camera.wide || y > camera.tall) return 0;
  pen.font = font;
  const most = camera.wide > 600 ? 34 : 22;
  const lines = wrapped(text, most).slice(0, 3), high = 15 * lines.length, wide = Math.max(...lines.map((line) => pen.measureText(line).width));
  const middle = [x - wide / 2, y - high / 2];
  const places = gap < 0 ? [middle, [x - wide / 2, y - high - 6], [x - wide / 2, y + 6]]
    : [[x + gap, y - high / 2], [x - gap - wide, y - high / 2], [x - wide / 2, y - gap - high], [x - wide / 2, y + gap]];
  const free = places.find(([u, v]) => u >= 2 && v >= 2 && u + wide <= camera.wide - 2 && v + high <= camera.tall - 2 &&
    !taken.some(([a, b, w, h]) => u < a + w + 6 && a < u + wide + 6 && v < b + h + 2 && b < v + high + 2));
  if (!free) return 0;
  taken.push([free[0], free[1], wide, high]);
  pen.lineWidth = 3.5; pen.strokeStyle = colours.card; pen.fillStyle = colours.ink; pen.textBaseline = "top";
  lines.forEach((line, n) => {
    const left = gap < 0 ? free[0] + (wide - pen.measureText(line).width) / 2 : free[0];
    pen.strokeText(line, left, free[1] + 1 + 15 * n);
    pen.fillText(line, left, free[1] + 1 + 15 * n);
  });
  return 1;
}

// Lines of a text: broken at spaces, and within words that are longer than a line.
function wrapped(text, most) {
  const lines = [""];
  for (const word of text.match(new RegExp(`\\S{1,${most}}`, "gu")) || [text]) {
    const last = lines.length - 1;
    if (lines[last] && lines[last].length + 1 + word.length > most) lines.push(word);
    else lines[last] += (lines[last] ? " " : "") + word;
  }
  return lines;
}
