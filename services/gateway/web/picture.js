// Pictures behind the token: fetched once, kept as object URLs as long as the page lives.

import { h } from "./element.js";
import { theme } from "./theme.js";

const DARK = "picture-dark.png";
const kept = new Map();

/** An <img> that fills itself; `mark` changes when the picture does. Shows nothing where there is none. */
export function picture(api, path, { alt = "", mark = "" } = {}) {
  const image = h("img", { alt, loading: "lazy", hidden: true, draggable: "false" });
  const key = `${path}?${mark}`;
  if (!kept.has(key)) kept.set(key, fetched(api, path));
  kept.get(key).then((url) => {
    if (!url) return;
    image.src = url;
    image.hidden = false;
  });
  return image;
}

/**
 * The picture of an experiment or template at `base`, as the server has it; in the dark theme the one that lies among
 * its files for that, if there is one.
 */
export function portrait(api, base, options = {}) {
  const frame = h("span", { class: "portrait" });

  async function hang() {
    const dark = theme.now === "dark" && (await hasDark(api, base));
    frame.classList.toggle("bright", theme.now === "dark" && !dark);
    frame.replaceChildren(picture(api, dark ? `${base}/files/${DARK}` : `${base}/picture`, options));
  }

  const off = theme.on(() => (frame.isConnected ? hang() : off()));
  hang();
  return frame;
}

const asked = new Map();

function hasDark(api, base) {
  if (!asked.has(base)) asked.set(base, api.get(`${base}/files`).then((files) => files.some((each) => each.path === DARK)).catch(() => false));
  return asked.get(base);
}

async function fetched(api, path) {
  try {
    return URL.createObjectURL(await (await api.raw(path)).blob());
  } catch {
    return null;
  }
}
