// What keys do in the editor: indent, keep the indentation, comment, apply, save, leave.

const INDENT = "    ";
let leaving = null;

/** Answers a key press in `area`; `onapply` and `onsave` may be missing. */
export function pressed(event, area, { onapply, onsave }) {
  const order = event.ctrlKey || event.metaKey;
  if (event.key === "Escape") { leaving = area; return; }
  if (event.key === "Tab" && leaving === area && !order) { leaving = null; return; }
  if (event.key !== "Shift") leaving = null;
  if (order && event.key === "Enter" && onapply) done(event, onapply);
  else if (order && event.key.toLowerCase() === "s" && onsave) done(event, onsave);
  else if (area.readOnly) return;
  else if (event.key === "Tab" && !order && !event.altKey) done(event, () => indent(area, event.shiftKey));
  else if (event.key === "Enter" && !order && !event.isComposing) done(event, () => breakLine(area));
  else if (order && event.key === "/") done(event, () => comment(area));
}

function done(event, act) {
  event.preventDefault();
  event.stopPropagation();
  act();
}

/** Writes as if typed, so that undo knows it. */
function type(area, text) {
  if (text ? !document.execCommand("insertText", false, text) : !document.execCommand("delete")) {
    area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

function breakLine(area) {
  const line = area.value.slice(area.value.lastIndexOf("\n", area.selectionStart - 1) + 1, area.selectionStart);
  const deeper = /[:([{]\s*$/.test(line) ? INDENT : "";
  type(area, `\n${/^\s*/.exec(line)[0]}${deeper}`);
}

function indent(area, back) {
  if (!back && area.selectionStart === area.selectionEnd) return type(area, INDENT.slice(columnOf(area) % INDENT.length));
  return eachLine(area, (line) => (back ? line.replace(/^( {1,4}|\t)/, "") : line && INDENT + line));
}

function comment(area) {
  const off = selectedLines(area).every((line) => !line.trim() || /^\s*#/.test(line));
  eachLine(area, (line) => (off ? line.replace(/^(\s*)# ?/, "$1") : line.trim() ? line.replace(/^(\s*)/, "$1# ") : line));
}

const columnOf = (area) => area.selectionStart - area.value.lastIndexOf("\n", area.selectionStart - 1) - 1;

function span(area) {
  const start = area.value.lastIndexOf("\n", area.selectionStart - 1) + 1;
  const end = area.value.indexOf("\n", Math.max(area.selectionEnd - (area.selectionEnd > area.selectionStart ? 1 : 0), start));
  return [start, end < 0 ? area.value.length : end];
}

const selectedLines = (area) => area.value.slice(...span(area)).split("\n");

function eachLine(area, change) {
  const [start, end] = span(area);
  const [from, before] = [area.selectionStart, area.value.slice(start, end)];
  const single = area.selectionStart === area.selectionEnd;
  const after = before.split("\n").map(change).join("\n");
  if (after === before) return;
  area.setSelectionRange(start, end);
  type(area, after);
  if (single) area.setSelectionRange(Math.max(start, from + after.length - before.length), Math.max(start, from + after.length - before.length));
  else area.setSelectionRange(start, start + after.length);
}
