// Before anything is drawn: the theme and language that the visitor chose, so that nothing flashes.
(function () {
  try {
    var theme = localStorage.getItem("rushmall.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    var lang = localStorage.getItem("rushmall.lang") || navigator.language || "zh";
    document.documentElement.lang = lang.slice(0, 2).toLowerCase() === "zh" ? "zh-CN" : "en";
  } catch {
    // no storage: the system's choice holds
  }
})();
