/** Starts a shop of its own for a run: fresh data, free port, an administrator whose password we know. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { createServer, type Server } from "node:http";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";

const START_MAX_MS = 60_000;
const STOP_MAX_MS = 30_000;

declare module "vitest" {
  export interface ProvidedContext {
    url: string;
    adminPassword: string;
    /** What stands in it holds once the settings are read anew. */
    settingsFile: string;
    /** The settings it starts with. */
    settings: string;
    /** Is told of orders; `PUT` of a status has it answer with that from then on. */
    warehouse: string;
  }
}

function binary(): string {
  const named = process.env.RUSHMALL_BIN;
  if (!named || !existsSync(named)) {
    throw new Error("RUSHMALL_BIN must name the rushmall binary; `make test-web` does that");
  }
  return named;
}

export default async function start(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = mkdtempSync(join(tmpdir(), "rushmall-e2e-"));
  const program = binary();
  const adminPassword = "e2e-admin-2026";
  run(program, ["seed", "--data-dir", dataDir]);
  const name = ["--username", "e2e-admin", "--password-stdin"];
  run(program, ["admin", "create", "--data-dir", dataDir, ...name], `${adminPassword}\n`);
  const settingsFile = join(dataDir, "settings.toml");
  const warehouse = await receiver();
  const settings = settingsFor(warehouse.url);
  writeFileSync(settingsFile, settings);
  const place = ["--data-dir", dataDir, "--config", settingsFile];
  const server = spawn(program, ["serve", "--port", "0", ...place], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, RUSHMALL__TELEMETRY__LOG: "warn" },
  });
  const url = await addressOf(server);
  if (!(await (await fetch(url)).text()).includes('<div id="root">')) {
    await stopped(server);
    warehouse.server.close();
    throw new Error(`${program} serves no web client: none was in its web/dist when it started`);
  }
  project.provide("url", url);
  project.provide("adminPassword", adminPassword);
  project.provide("settingsFile", settingsFile);
  project.provide("settings", settings);
  project.provide("warehouse", warehouse.url);
  return async () => {
    await stopped(server);
    warehouse.server.close();
    rmSync(dataDir, { recursive: true, force: true });
  };
}

function settingsFor(warehouse: string): string {
  const target = `{ name = "warehouse", url = "${warehouse}", secret = "${"e2e".repeat(12)}", events = ["order.paid"] }`;
  return `[webhooks]\ntargets = [${target}]\n`;
}

/** A system that takes what it is told, or says that it cannot. */
function receiver(): Promise<{ url: string; server: Server }> {
  let status = 204;
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      if (request.method === "PUT") status = Number(body);
      response.writeHead(request.method === "PUT" ? 204 : status).end();
    });
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      resolve({ url: `http://127.0.0.1:${port}/told`, server });
    });
  });
}

function run(program: string, args: string[], input = ""): void {
  const { status, stderr } = spawnSync(program, args, { input, encoding: "utf8", timeout: START_MAX_MS });
  if (status !== 0) throw new Error(`rushmall ${args.join(" ")}: ${stderr}`);
}

/** The server says where it is open. */
function addressOf(server: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = "";
    const timer = setTimeout(() => reject(new Error(`the server did not open: ${said}`)), START_MAX_MS);
    server.stdout?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      const address = /is open at (http:\/\/[\d.:]+)/.exec(said)?.[1];
      if (address) {
        clearTimeout(timer);
        resolve(address);
      }
    });
    server.on("exit", (code) => reject(new Error(`the server ended with ${code}: ${said}`)));
  });
}

function stopped(server: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.kill("SIGKILL"), STOP_MAX_MS);
    server.removeAllListeners("exit");
    server.on("exit", () => {
      clearTimeout(timer);
      resolve();
    });
    server.kill("SIGTERM");
  });
}
