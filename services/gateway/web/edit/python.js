// Python for the eye: enough to colour a script, not to judge it. The server judges.

const KEYWORDS = new Set(("False None True and as assert async await break class continue def del elif else except finally for from global if " +
  "import in is lambda nonlocal not or pass raise return try while with yield match case").split(" "));
const RULES = [
  [/^#[^\n]*/, "note"],
  [/^(?:[rbfu]{0,2})("""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$))/i, "text"],
  [/^(?:[rbfu]{0,2})("(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)/i, "text"],
  [/^@[\w.]+/, "key"],
  [/^(?:0x[\da-f_]+|0o[0-7_]+|0b[01_]+|(?:\d[\d_]*)?\.?\d[\d_]*\.?(?:e[+-]?\d+)?j?)/i, "number"],
  [/^[A-Za-z_]\w*/, "word"],
  [/^\s+/, ""],
  [/^./, ""],
];

/** Pieces `[text, kind]` of a Python text; kinds: key, name (what is defined), text, number, note or "". */
export function pieces(source) {
  const found = [];
  let rest = source;
  let before = "";
  let fresh = true;
  while (rest) {
    for (const [pattern, kind] of RULES) {
      const match = pattern.exec(rest);
      if (!match || !match[0]) continue;
      const text = match[0];
      found.push([text, kindOf(text, kind, before, fresh)]);
      if (text.trim()) [before, fresh] = [text, text === ":" ];
      else if (text.includes("\n")) fresh = fresh || !before || before.endsWith(":");
      rest = rest.slice(text.length);
      break;
    }
  }
  return found;
}

function kindOf(text, kind, before, fresh) {
  if (kind === "word") return KEYWORDS.has(text) ? "key" : before === "def" || before === "class" ? "name" : "";
  // A long text that opens a module or a body is its docstring: it reads as a note.
  if (kind === "text" && fresh && /^[rbfu]{0,2}("""|''')/i.test(text)) return "note";
  return kind;
}
