import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import { startI18n } from "./i18n";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/forms.css";
import "./styles/layers.css";
import "./styles/frame.css";
import "./styles/catalogue.css";
import "./styles/flash.css";
import "./styles/orders.css";
import "./styles/account.css";

// After a new release the old names of lazily loaded parts are gone: the new page knows the new ones.
window.addEventListener("vite:preloadError", (event) => {
  const key = "rushmall.reloaded";
  if (Date.now() - Number(sessionStorage.getItem(key)) < 30_000) return;
  event.preventDefault();
  sessionStorage.setItem(key, String(Date.now()));
  location.reload();
});

const root = document.getElementById("root");
if (!root) throw new Error("the page has no place for the client");
await startI18n();
createRoot(root).render(<App />);
