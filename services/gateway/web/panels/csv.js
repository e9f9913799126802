/** Numbers as CSV: what the page has kept, or a whole stream from the recording. */

/** Offer the kept columns {name, t, v, n} as a file; rows are the times of the first. */
export function saveKept({ store, sim }, what, columns) {
  save(tableOf(columns), `${store.simulation?.experiment ?? "run"}-${sim ?? "recording"}-${what}.csv`);
}

/** Fetch what the recorder has written of a stream so far. */
export async function saveRun({ api, store, sim, app }, topic) {
  const name = `${store.simulation?.experiment ?? "run"}-${sim}-${topic.replaceAll("/", "-")}.csv`;
  try {
    await api.download(`simulations/${encodeURIComponent(sim)}/data.csv?stream=${encodeURIComponent(topic)}`, name);
  } catch (error) {
    app.announce(error.detail ?? String(error));
    const { show } = await import("../dialog.js");
    show({ title: "No CSV", text: `${error.detail ?? error}` });
  }
}

/** CSV of columns {name, t, v, n}: a time column in s, then one for each; a value is the last at or before the row's time. */
export function tableOf(columns) {
  if (!columns.length) return "";
  const places = columns.map(() => 0);
  const lines = [["t_s", ...columns.map(({ name }) => quoted(name))].join(",")];
  const [{ t, n }] = columns;
  for (let i = 0; i < n; i++) {
    const row = [+t[i].toFixed(9)];
    columns.forEach((column, k) => {
      while (places[k] + 1 < column.n && column.t[places[k] + 1] <= t[i]) places[k] += 1;
      const known = column.n && column.t[places[k]] <= t[i] && Number.isFinite(column.v[places[k]]);
      row.push(known ? column.v[places[k]] : "");
    });
    lines.push(row.join(","));
  }
  return lines.join("\n") + "\n";
}

const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

function save(text, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
