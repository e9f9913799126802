// TOML for the eye, and its simple settings as a list. The server reads the file for real.

const STRING = /^("""[\s\S]*?("""|$)|'''[\s\S]*?('''|$)|"(?:\\.|[^"\\\n])*"?|'[^'\n]*'?)/;
const RULES = [
  [/^#[^\n]*/, "note"],
  [STRING, "text"],
  [/^\d{4}-\d\d-\d\d[T \d:.Z+-]*/, "number"],
  [/^[+-]?(?:0x[\da-f_]+|0o[0-7_]+|0b[01_]+|(?:\d[\d_]*)(?:\.\d[\d_]*)?(?:e[+-]?\d+)?|inf|nan)\b/i, "number"],
  [/^(?:true|false)\b/, "key"],
  [/^[\w-]+/, ""],
  [/^\s+/, ""],
  [/^./, ""],
];

/** Pieces `[text, kind]` of a TOML text; kinds: key, name, text, number, note or "". */
export function pieces(source) {
  const found = [];
  let start = true;
  let rest = source;
  while (rest) {
    const head = start && /^[ \t]*(\[\[?[^\n#]*?\]\]?)[ \t]*(?=#|\n|$)/.exec(rest);
    const key = start && !head && /^[ \t]*((?:"[^"\n]*"|[\w-]+)(?:\s*\.\s*(?:"[^"\n]*"|[\w-]+))*)(?=\s*=)/.exec(rest);
    if (head || key) {
      found.push([(head ?? key)[0], head ? "key" : "name"]);
      rest = rest.slice((head ?? key)[0].length);
      start = false;
      continue;
    }
    for (const [pattern, kind] of RULES) {
      const match = pattern.exec(rest);
      if (!match) continue;
      found.push([match[0], kind]);
      rest = rest.slice(match[0].length);
      start = /\n[ \t]*$/.test(match[0]);
      break;
    }
  }
  return found;
}

/**
 * The single-line settings of the tables named, as `{table, key, value, note}`: value is the TOML text.
 * For forms that offer what an experiment can be launched with.
 */
export function settings(source, tables) {
  const found = [];
  let table = "";
  for (const line of source.split("\n")) {
    const head = /^\s*\[([^[\]]+)\]/.exec(line);
    if (head) table = head[1].replace(/\s/g, "");
    const entry = /^\s*([\w-]+)\s*=\s*(.+)$/.exec(line);
    if (!entry || !tables.includes(table)) continue;
    const { value, note } = apart(entry[2]);
    if (balanced(value)) found.push({ table, key: entry[1], value, note });
  }
  return found;
}

/** The value of a TOML text as JSON has it; a text that is no TOML value is itself. */
export function valueOf(text) {
  const plain = text.trim();
  if (plain === "true" || plain === "false") return plain === "true";
  if (/^[+-]?[\d_]+(\.[\d_]+)?(e[+-]?\d+)?$/i.test(plain)) return Number(plain.replaceAll("_", ""));
  const quoted = /^"((?:\\.|[^"\\])*)"$|^'([^']*)'$/.exec(plain);
  if (quoted) return quoted[1] === undefined ? quoted[2] : JSON.parse(`"${quoted[1]}"`);
  if (/^\[.*\]$/.test(plain)) return parts(plain.slice(1, -1)).map(valueOf);
  return plain;
}

function apart(text) {
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    if (quote) quote = text[i] === quote ? "" : quote;
    else if (text[i] === '"' || text[i] === "'") quote = text[i];
    else if (text[i] === "#") return { value: text.slice(0, i).trim(), note: text.slice(i + 1).trim() };
  }
  return { value: text.trim(), note: "" };
}

function balanced(value) {
  return !value.startsWith('"""') && (value.match(/[[{]/g) ?? []).length === (value.match(/[\]}]/g) ?? []).length;
}

function parts(text) {
  const found = [];
  let [depth, quote, word] = [0, "", ""];
  for (const sign of text) {
    if (quote) quote = sign === quote ? "" : quote;
    else if (sign === '"' || sign === "'") quote = sign;
    else if (sign === "[") depth++;
    else if (sign === "]") depth--;
    if (sign === "," && !depth && !quote) {
      found.push(word);
      word = "";
    } else word += sign;
  }
  return [...found, word].filter((each) => each.trim());
}
