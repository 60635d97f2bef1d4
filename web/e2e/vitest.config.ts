/** End-to-end tests: the real server, a real browser. `make test-web` builds both sides first. */
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** One server serves all files: in the same order on every machine, whatever failed or lasted there before. */
class ByName extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return Promise.resolve(files.toSorted((a, b) => a.moduleId.localeCompare(b.moduleId)));
  }
}

export default defineConfig({
  test: {
    dir: "e2e",
    include: ["**/*.e2e.ts"],
    globalSetup: "e2e/server.ts",
    sequence: { sequencer: ByName },
    fileParallelism: false, // one browser at a time is enough for small machines
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 15_000, interval: 100 } }, // as long as a locator waits
  },
});
