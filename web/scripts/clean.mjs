// Empties dist/ but for its .gitignore, which keeps the directory in the repository.
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

const dist = join(import.meta.dirname, "../dist");
mkdirSync(dist, { recursive: true });
for (const name of readdirSync(dist)) {
  if (name !== ".gitignore") rmSync(join(dist, name), { recursive: true });
}
