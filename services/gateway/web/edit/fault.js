// A fault in a script as a person would say it: the kind of error, the sentence, the word that is wrong.

const KINDS = { compile: "SyntaxError", syntax: "SyntaxError" };

/** `{type, text, line, column}` of a problem as a service tells it ("NameError: name 'x' is not defined"). */
export function faultOf({ type = "", text = "", detail = "", line = null, column = null, line_text = "" }) {
  const whole = (text || detail).replace(/^(transfer function '[^']*'|[\w./-]+\.py, line \d+): /, "").replace(/ in `[^`]*`$/, "");
  const match = /^([A-Z]\w*(?:Error|Exception|Warning|Stop|Interrupt)?): ([\s\S]*)$/.exec(whole);
  const said = match ? match[2] : whole;
  return { type: match ? match[1] : (KINDS[type] ?? (/^[A-Z]/.test(type ?? "") ? type : "")), text: said, line, column: column ?? columnOf(said, line_text) };
}

/** Where the word that a message quotes stands in its line. */
function columnOf(text, line_text) {
  const word = /'([A-Za-z_]\w*)'/.exec(text ?? "")?.[1];
  const at = word && line_text ? line_text.search(new RegExp(`\\b${word}\\b`)) : -1;
  return at < 0 ? null : at + 1;
}
