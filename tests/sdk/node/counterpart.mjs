// What every counterpart on Node stands on: its orders, the sandbox's control API, an endpoint, and the cells.
//
// A counterpart reads its task as JSON from standard input, and prints one line of JSON for each cell of the matrix:
// {"row": …, "seen": …} if the SDK saw what the row promises, {"row": …, "limit": …} if the SDK itself cannot do it (the
// limit is demonstrated first), {"row": …, "failed": …} otherwise.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';

const WAIT_MS = 15_000;
const given = JSON.parse(fs.readFileSync(0, 'utf8'));

const merchantFile = (name) => fs.readFileSync(path.join(given.dir, 'merchant', name), 'utf8');

/** The sandbox, the merchant's files, and the numbers of this column. */
export const task = {
  mode: given.mode,
  shop: given.shop,
  merchant: JSON.parse(merchantFile('merchant.json')),
  merchantFile,
  /** What only the provider knows: with it a counterpart plays the provider. */
  platformFile: (name) => fs.readFileSync(path.join(given.dir, 'platform', name), 'utf8'),
  /** A number that no other column has. */
  number: (name) => given.prefix + name,
  /** The sandbox's control API. */
  async control(method, where, body) {
    const answer = await send(method, `${given.url}/control${where}`, body && JSON.stringify(body), { 'Content-Type': 'application/json' });
    assert.equal(answer.status, 200, `control ${where}: ${answer.text}`);
    return JSON.parse(answer.text);
  },
  pay: (number) => task.control('POST', `/trades/${number}/pay`, {}),
  fault: (fault) => task.control('POST', '/faults', { count: 1, ...fault }),
  /** As bills count days. */
  today: async () => (await task.control('GET', '/state')).ledger_time.slice(0, 10),
};

/** Any request, without an SDK. */
export async function send(method, url, body, headers = {}) {
  const answer = await fetch(url, { method, body, headers, signal: AbortSignal.timeout(WAIT_MS) });
  return { status: answer.status, text: await answer.text() };
}

/**
 * Where the sandbox's notifications arrive; `believe(headers, body)` is the SDK's and decides the answer. A notification may
 * come more than once: what was told under the same `identity(told)` before is taken and dropped.
 */
export class Endpoint {
  #known = new Set();
  #arrived = [];
  #waiting = [];

  static async open(believe, identity, success) {
    const endpoint = new Endpoint();
    const server = http.createServer(async (request, response) => {
      let body = '';
      for await (const part of request.setEncoding('utf8')) body += part;
      let told = null;
      try {
        told = believe(request.headers, body);
      } catch (error) { // as a merchant's endpoint would: what cannot be read is not believed
        console.error(error);
      }
      const [status, text] = told ? success : [401, ''];
      response.writeHead(status).end(text);
      if (told) {
        if (endpoint.#known.has(identity(told))) return;
        endpoint.#known.add(identity(told));
      }
      const waiting = endpoint.#waiting.shift();
      if (waiting) waiting(told); else endpoint.#arrived.push(told);
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    server.unref();
    endpoint.url = `http://127.0.0.1:${server.address().port}/notify`;
    return endpoint;
  }

  /** What the next delivery told; `null` if it was not believed. */
  async next() {
    if (this.#arrived.length) return this.#arrived.shift();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no notification arrived')), WAIT_MS);
      this.#waiting.push((told) => { clearTimeout(timer); resolve(told); });
    });
  }
}

/** What the SDK cannot do; the cell is not green. */
export class Limit extends Error {}

/** Every cell in the order in which they were written; the row is the name, the result what was seen. */
export async function run(cells) {
  for (const [row, cell] of Object.entries(cells)) {
    const line = { row };
    try {
      line.seen = await cell();
    } catch (error) {
      if (error instanceof Limit) {
        line.limit = error.message;
      } else {
        console.error(row, error);
        line.failed = String(error);
      }
    }
    fs.writeSync(1, `${JSON.stringify(line)}\n`);
  }
  process.exit(0); // connections that are kept alive would hold it
}
