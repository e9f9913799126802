// Light or dark: kept in the browser, announced to whoever draws.

const listeners = new Set();

export const theme = {
  /** "light" or "dark". */
  get now() {
    return document.documentElement.dataset.theme;
  },

  set(name) {
    if (name === theme.now) return;
    document.documentElement.dataset.theme = name;
    try {
      localStorage.setItem("reaf.theme", name);
    } catch { /* storage is refused: the choice lasts as long as the page */ }
    for (const listener of listeners) listener(name);
  },

  toggle() {
    theme.set(theme.now === "dark" ? "light" : "dark");
  },

  /** Calls `listener(name)` after each change; returns a function that ends it. */
  on(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },

  /** The present value of a token: colour("--ink"). */
  colour(token) {
    return getComputedStyle(document.documentElement).getPropertyValue(token).trim();
  },
};
