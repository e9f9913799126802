// What the hash says, and which page answers it.

const PAGES = [
  [/^\/$/, "experiments", () => ({})],
  [/^\/x\/([^/]+)$/, "experiment", ([id]) => ({ id })],
  [/^\/t\/([^/]+)$/, "experiment", ([id]) => ({ id, template: true })],
  [/^\/run\/([^/]+)$/, "workbench", ([sim]) => ({ sim })],
  [/^\/play\/([^/]+)\/([^/]+)$/, "playback", ([experiment, rec]) => ({ recording: { experiment, rec } })],
  [/^\/rec\/([^/]+)\/([^/]+)$/, "recording", ([experiment, rec]) => ({ recording: { experiment, rec } })],
  [/^\/cluster$/, "cluster", () => ({})],
  [/^\/cluster\/([^/]+)$/, "cluster", ([job]) => ({ job })],
  [/^\/login$/, "login", () => ({})],
];

/** `{page, params}` of a hash like "#/run/s7?panel=raster"; page "lost" where no route fits. */
export function read(hash) {
  const [path, query = ""] = (hash.replace(/^#/, "") || "/").split("?");
  for (const [pattern, page, params] of PAGES) {
    const match = pattern.exec(path);
    if (match) return { page, params: { ...params(match.slice(1).map(decodeURIComponent)), ...Object.fromEntries(new URLSearchParams(query)) } };
  }
  return { page: "lost", params: {} };
}

/** Opens the page of each new hash in the room that `roomFor(page)` gives, after the one before has been closed. */
export function follow(app, roomFor, fault) {
  let opened = null;
  let turn = 0;

  async function change() {
    const mine = ++turn;
    const { page, params } = read(location.hash);
    opened?.close();
    opened = null;
    const room = roomFor(page);
    if (page === "lost") return fault(room, new Error("There is no such page"));
    try {
      const module = await import(`./pages/${page}.js`);
      if (mine === turn) opened = module.open(room, params, app);
    } catch (error) {
      console.error(error);
      if (mine === turn) fault(room, error);
    }
  }

  window.addEventListener("hashchange", change);
  return change();
}
