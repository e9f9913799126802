// Pictures behind the token: fetched once, kept as object URLs as long as the page lives.

import { h } from "./element.js";

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

async function fetched(api, path) {
  try {
    return URL.createObjectURL(await (await api.raw(path)).blob());
  } catch {
    return null;
  }
}
