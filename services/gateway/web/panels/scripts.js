// Scripts: transfer functions, the brain, and the files of the experiment, each in its tab.

import { fill } from "../element.js";
import { makeBrainRoom } from "./brainroom.js";
import { makeFiles } from "./files.js";
import { makeTransfer } from "./transfer.js";

export function make(ctx) {
  const { panel, store } = ctx;
  const rooms = { transfer: makeTransfer(ctx, (count) => tabs.badge("transfer", count ? String(count) : "")), brain: makeBrainRoom(ctx) };
  const experiment = () => store.simulation?.experiment ?? ctx.recording?.experiment ?? ctx.panel.experiment;
  panel.body.classList.add("scripts");
  const tabs = panel.tabs([{ id: "transfer", label: "Transfer" }, { id: "brain", label: "Brain" }, { id: "files", label: "Files" }], pick);
  let shown = null;

  function pick(id) {
    if (id === "files" && !rooms.files) rooms.files = makeFiles({ app: ctx.app, experiment: experiment(), editable: ctx.editable, narrow: true });
    shown = rooms[id];
    fill(panel.body, Object.values(rooms).map((room) => room.element));
    for (const room of Object.values(rooms)) room.element.hidden = room !== shown;
    panel.tools.querySelector(".room-tools")?.remove();
    if (shown.tools) panel.tools.prepend(shown.tools);
    shown.shown?.();
  }

  /** Goes to the line that a message names: in a function, or else in a file. */
  function open(event) {
    const { function: name, file, line, column } = event.detail;
    ctx.front?.("scripts");
    if (name && rooms.transfer.open(name, line, column)) return tabs.pick("transfer");
    if (!file || !experiment()) return;
    tabs.pick("files");
    rooms.files.open(file.split("/").pop(), line, column);
  }

  // Where the console lies behind the scripts, its tab is here, and so is its counter.
  let errors = 0;
  const count = (event) => {
    errors = event?.detail ?? errors;
    tabs.badge("console", errors ? String(errors) : "");
  };
  const shape = new ResizeObserver(() => count());
  shape.observe(panel.root);
  document.addEventListener("reaf:errors", count);
  document.addEventListener("reaf:open", open);
  pick("transfer");
  return {
    element: panel.body,
    focus: () => shown.focus?.(),
    close() {
      document.removeEventListener("reaf:open", open);
      document.removeEventListener("reaf:errors", count);
      shape.disconnect();
      for (const room of Object.values(rooms)) room.close?.();
    },
  };
}
