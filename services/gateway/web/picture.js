// Pictures behind the token: fetched once, kept as object URLs as long as the page lives.

import { h } from "./element.js";

const OWN = "picture.png";
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
 * The picture of an experiment or template at `base`: the one that lies among its files, else what the server draws,
 * which is what its last run looked like.
 */
export function portrait(api, base, options = {}) {
  const frame = h("span", { class: "portrait" });
  own(api, base).then((path) => frame.append(picture(api, path, options)));
  return frame;
}

const owns = new Map();

function own(api, base) {
  if (!owns.has(base)) {
    owns.set(base, api.get(`${base}/files`)
      .then((files) => (files.some((each) => each.path === OWN) ? `${base}/files/${OWN}` : `${base}/picture`))
      .catch(() => `${base}/picture`));
  }
  return owns.get(base);
}

async function fetched(api, path) {
  try {
    return URL.createObjectURL(await (await api.raw(path)).blob());
  } catch {
    return null;
  }
}
