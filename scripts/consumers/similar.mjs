// A Node.js reader of what `embedrec publish redis` wrote, or `embedrec serve` answers: an item's neighbours, best first.
//
// usage: node scripts/consumers/similar.mjs redis://[user:password@]host[:port]/[db] ITEM [PREFIX] [--json]
//        node scripts/consumers/similar.mjs http://host:port/v1 ITEM      the key is in EMBEDREC_API_KEY
//
// It needs no package: a Redis command is a few lines on a socket (TLS for rediss://). With the package `redis`, the
// same two reads are `await client.get(...)` and `await client.lRange(...)`.

import net from "node:net";
import tls from "node:tls";

const words = process.argv.slice(2).filter((word) => word !== "--json");
const asJson = process.argv.includes("--json");
const [address, item, prefix = "embedrec"] = words;
if (!item) {
  console.error("usage: node similar.mjs redis://host:6379/0 ITEM [PREFIX] [--json]");
  process.exit(2);
}

/** The neighbours from `embedrec serve`; none for an unknown item. */
async function fromService(url) {
  const key = process.env.EMBEDREC_API_KEY;
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  const response = await fetch(`${url}/similar/${encodeURIComponent(item)}?k=20`, { headers });
  if (response.status === 404) return [];
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return answer.results[0].neighbours.map((neighbour) => neighbour.item);
}

if (/^https?:/.test(address)) {
  try {
    for (const other of await fromService(address)) console.log(String(other));
  } catch (error) {
    console.error(`similar.mjs: ${error.cause?.message || error.message}`);
    process.exit(1);
  }
  process.exit(0);
}

/** One connection; `send("GET", "key")` is a promise of the response. */
function connect(url) {
  const port = Number(url.port || 6379);
  const secure = url.protocol === "rediss:";
  const socket = secure ? tls.connect({ host: url.hostname, port, servername: url.hostname }) : net.connect(port, url.hostname);
  let buffer = Buffer.alloc(0);
  const waiting = [];
  socket.on("data", (data) => {
    buffer = Buffer.concat([buffer, data]);
    for (let parsed; waiting.length && (parsed = parse(buffer, 0)); ) {
      buffer = buffer.subarray(parsed.end);
      const { resolve, reject } = waiting.shift();
      if (parsed.value instanceof Error) reject(parsed.value);
      else resolve(parsed.value);
    }
  });
  socket.on("error", (error) => waiting.splice(0).forEach(({ reject }) => reject(error)));
  return {
    send: (...args) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        socket.write(`*${args.length}\r\n` + args.map((a) => `$${Buffer.byteLength(a)}\r\n${a}\r\n`).join(""));
      }),
    close: () => socket.end(),
  };
}

/** The response that starts at `at`, and its end; null while it is incomplete. */
function parse(buffer, at) {
  const line = buffer.indexOf("\r\n", at);
  if (line < 0) return null;
  const head = buffer.toString("utf8", at + 1, line);
  const end = line + 2;
  const kind = String.fromCharCode(buffer[at]);
  if (kind === "+") return { value: head, end };
  if (kind === "-") return { value: new Error(head), end };
  if (kind === ":") return { value: Number(head), end };
  const length = Number(head);
  if (length < 0) return { value: null, end };
  if (kind === "$") {
    if (buffer.length < end + length + 2) return null;
    return { value: buffer.toString("utf8", end, end + length), end: end + length + 2 };
  }
  const value = [];
  let next = end;
  for (let i = 0; i < length; i++) {
    const parsed = parse(buffer, next);
    if (!parsed) return null;
    value.push(parsed.value);
    next = parsed.end;
  }
  return { value, end: next };
}

const url = new URL(address);
const client = connect(url);
try {
  if (url.password) {
    const name = url.username ? [decodeURIComponent(url.username)] : [];
    await client.send("AUTH", ...name, decodeURIComponent(url.password));
  }
  if (url.pathname.length > 1) await client.send("SELECT", url.pathname.slice(1));
  const served = await client.send("GET", `${prefix}:served`); // the served generation ...
  if (served === null) throw new Error(`nothing is published under ${prefix}`);
  const key = `${prefix}:${served}:${item}`; // ... and the key of the item in it
  const results = asJson ? JSON.parse((await client.send("GET", key)) ?? '{"items": []}').items : await client.send("LRANGE", key, "0", "-1");
  for (const other of results) console.log(String(other));
} catch (error) {
  console.error(`similar.mjs: ${error.message || error.code}`);
  process.exitCode = 1;
} finally {
  client.close();
}
