/** `npm run screenshots`: the pictures of docs/screenshots, taken from a shop that somebody has bought in. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    dir: "e2e",
    include: ["screenshots.ts", "desk.screenshots.ts", "console.screenshots.ts"],
    fileParallelism: false,
    globalSetup: "e2e/server.ts",
    testTimeout: 300_000,
    hookTimeout: 60_000,
  },
});
