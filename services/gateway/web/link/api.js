// REST: one call, one answer, one kind of error.

/** What the server had to say against a call; `status` 0 means that it could not be reached. */
export class Problem extends Error {
  constructor(fields) {
    super(fields.detail || fields.title || "the server refused without a reason");
    Object.assign(this, { status: 0, code: "", detail: this.message, file: "", line: null, column: null, line_text: "" }, fields);
    this.detail = this.message;
  }
}

const TOKEN = "reaf.token";
const PATIENCE_MS = 30000;

export const api = {
  /** "…/api", beside the page, so that any sub-path works. */
  base: new URL("api", document.baseURI).pathname,

  get token() {
    return sessionStorage.getItem(TOKEN) ?? "";
  },
  set token(secret) {
    if (secret) sessionStorage.setItem(TOKEN, secret);
    else sessionStorage.removeItem(TOKEN);
  },

  get: (path, options) => json("GET", path, undefined, options),
  post: (path, body, options) => json("POST", path, body, options),
  put: (path, body, options) => json("PUT", path, body, options),
  patch: (path, body, options) => json("PATCH", path, body, options),
  del: (path, options) => json("DELETE", path, undefined, options),

  /** Sends a file or blob as it is; `options.method` is POST unless told. */
  async upload(path, blob, options = {}) {
    const headers = { "Content-Type": blob.type || "application/octet-stream", ...options.headers };
    return content(await ask(options.method ?? "POST", path, blob, { patience_ms: 600000, ...options, headers }));
  },

  /** The answer itself: for bytes, texts and ETags. */
  raw: (path, options) => ask(options?.method ?? "GET", path, options?.body, options),

  /** Fetches a file with the token and hands it to the browser to keep under `name`. */
  async download(path, name) {
    const blob = await (await ask("GET", path, undefined, { patience_ms: 600000 })).blob();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  },
};

async function json(method, path, body, options = {}) {
  const headers = body === undefined ? options.headers : { "Content-Type": "application/json", ...options.headers };
  return content(await ask(method, path, body === undefined ? undefined : JSON.stringify(body), { ...options, headers }));
}

async function content(answer) {
  const text = await answer.text();
  return text && (answer.headers.get("Content-Type") ?? "").includes("json") ? JSON.parse(text) : text || null;
}

async function ask(method, path, body, options = {}) {
  const headers = { Accept: "application/json, */*", ...options.headers };
  if (api.token) headers.Authorization = `Bearer ${api.token}`;
  let answer;
  try {
    answer = await fetch(`${api.base}/${path.replace(/^\//, "")}`, {
      method, body, headers, cache: "no-store", signal: options.signal ?? AbortSignal.timeout(options.patience_ms ?? PATIENCE_MS),
    });
  } catch (error) {
    const late = error.name === "TimeoutError";
    throw new Problem({ code: late ? "late" : "unavailable", detail: late ? "the server did not answer in time" : "the server cannot be reached" });
  }
  if (answer.ok) return answer;
  if (answer.status === 401 && !options.stay) toLogin();
  throw await problemOf(answer);
}

async function problemOf(answer) {
  try {
    return new Problem({ ...(await answer.json()), status: answer.status });
  } catch {
    return new Problem({ status: answer.status, detail: `the server answered ${answer.status} ${answer.statusText}`.trim() });
  }
}

function toLogin() {
  if (location.hash.startsWith("#/login")) return;
  api.token = "";
  sessionStorage.setItem("reaf.after_login", location.hash || "#/");
  location.hash = "#/login";
}
