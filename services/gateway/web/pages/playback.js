/** A recorded run: what it was, its picture, its files. */

import { h } from "../element.js";
import { icon } from "../icons.js";
import { bytes, seconds } from "../words.js";

/** Open the page of a recording. */
export function open(root, { recording: { experiment, rec } }, app) {
  const path = `experiments/${encodeURIComponent(experiment)}/recordings/${encodeURIComponent(rec)}`;
  root.append(h("p", { class: "workbench-wait" }, "Reading the recording…"));
  const urls = [];
  fill(root, path, { experiment, rec }, app, urls).catch((error) => {
    root.replaceChildren(h("div", { class: "empty" }, h("h2", {}, "The recording cannot be shown"), h("p", {}, error.detail ?? String(error)), h("a", { class: "btn primary", href: "#/" }, "Experiments")));
  });
  return { close: () => urls.forEach((url) => URL.revokeObjectURL(url)) };
}

async function fill(root, path, { experiment, rec }, app, urls) {
  const recording = await app.api.get(path);
  const files = recording.files ?? [];
  const picture = files.find((file) => /overview\.png$/.test(file.path));
  const image = h("img", { class: "recording-picture", alt: "Overview of the run", hidden: !picture });
  const list = files.map((file) => h("li", {}, h("button", { class: "btn quiet", type: "button", onclick: () => app.api.download(`${path}/files/${encodeURI(file.path)}`, file.path.split("/").pop()) },
    icon("download"), h("span", {}, file.path), h("small", {}, bytes(file.bytes)))));
  root.classList.add("recording");
  root.replaceChildren(
    h("header", { class: "recording-head" }, h("a", { class: "btn quiet", href: `#/x/${encodeURIComponent(experiment)}` }, icon("left"), experiment), h("h1", {}, `Recording ${rec}`),
      h("span", { class: "panel-fact" }, recording.simulated_s != null ? seconds(recording.simulated_s) : "")),
    image, ...(picture ? [] : [h("p", { class: "panel-words-text" }, "No overview was drawn of this run.")]), h("h2", {}, "Files"), h("ul", { class: "recording-files" }, list));
  if (!picture) return;
  const blob = await (await app.api.raw(`${path}/files/${encodeURI(picture.path)}`)).blob();
  urls.push((image.src = URL.createObjectURL(blob)));
}
