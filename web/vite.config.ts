/** Builds the client into dist/, from where the server takes it; `npm run dev` serves it with the API of a running shop. */
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const shop = process.env.RUSHMALL_URL ?? "http://127.0.0.1:8080";
const ofTheShop = ["/api", "/photos", "/sandbox", "/health", "/uploads"];

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    emptyOutDir: false, // dist/.gitignore stays; scripts/clean.mjs empties the rest
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // nothing inline: the content security policy allows files only
  },
  server: {
    proxy: {
      ...Object.fromEntries(ofTheShop.map((path) => [path, { target: shop }])),
      "/ws": { target: shop, ws: true },
    },
  },
  test: {
    environment: "jsdom",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["src/test-setup.ts"],
    restoreMocks: true,
  },
});
