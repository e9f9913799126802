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

const AGAIN_MS = [200, 800, 2000];

/** The module of a page; asked for again where the network fails for a moment, as it does when a machine changes nets. */
async function load(page) {
  for (const pause of AGAIN_MS) {
    try {
      return await import(`./pages/${page}.js`);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // the script is at fault
      await new Promise((done) => { setTimeout(done, pause); });
    }
  }
  return import(`./pages/${page}.js`);
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
      const module = await load(page);
      if (mine === turn) opened = module.open(room, params, app);
    } catch (error) {
      console.error(error);
      if (mine === turn) fault(room, error);
    }
  }

  window.addEventListener("hashchange", change);
  return change();
}
