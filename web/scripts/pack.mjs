// Puts x.br and x.gz beside each text file x of dist/, where that saves something, and holds the budget of the first load.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const dist = join(import.meta.dirname, "../dist");
const TEXT = /\.(js|css|html|svg|json|webmanifest|txt)$/;
/** Bytes (gzip) of the JavaScript that must arrive before the first page stands. */
const INITIAL_JS_MAX = 200_000;

function* files(dir) {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) yield* files(path);
    else yield path;
  }
}

const gzipped = new Map();
for (const path of [...files(dist)].filter((path) => TEXT.test(path))) {
  const plain = readFileSync(path);
  const gzip = gzipSync(plain, { level: 9 });
  const brotli = brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: plain.length } });
  gzipped.set("/" + relative(dist, path), gzip.length);
  if (gzip.length < plain.length) writeFileSync(`${path}.gz`, gzip);
  if (brotli.length < plain.length) writeFileSync(`${path}.br`, brotli);
}

const page = readFileSync(join(dist, "index.html"), "utf8");
const initial = [...page.matchAll(/(?:src|href)="([^"]+\.js)"/g)].map((match) => match[1]);
const bytes = initial.reduce((sum, path) => sum + (gzipped.get(path) ?? 0), 0);
console.log(`initial JavaScript: ${(bytes / 1000).toFixed(1)} KB gzip in ${initial.length} files`);
if (initial.length === 0 || bytes > INITIAL_JS_MAX) {
  console.error(`error: the budget is ${INITIAL_JS_MAX / 1000} KB`);
  process.exit(1);
}
