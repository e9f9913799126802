// Who may come in: tokens with a name and a role. A secret is shown once, when it is made.

import { fill, h } from "../element.js";
import { icon } from "../icons.js";
import { sentence, show } from "../dialog.js";
import { ago } from "../words.js";

const ROLES = [["owner", "clone, launch and steer own experiments"], ["viewer", "look and watch"], ["admin", "everything, and make tokens"]];

/** A dialog for admins: the tokens there are, a new one, and taking one away. */
export function askTokens(app) {
  const rows = h("tbody");
  const made = h("div", { class: "token-made", hidden: true });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const name = h("input", { placeholder: "name", "aria-label": "Name", autocomplete: "off", spellcheck: "false" });
  const role = h("select", { "aria-label": "Role" }, ROLES.map(([id, words]) => h("option", { value: id }, `${id}: ${words}`)));
  const body = h("div", { class: "tokens" },
    h("div", { class: "scroll-x" }, h("table", { class: "list" }, h("thead", {}, h("tr", {}, ["Name", "Role", "Made"].map((each) => h("th", { scope: "col" }, each)), h("th", {}, h("span", { class: "unseen" }, "Actions")))), rows)),
    h("div", { class: "token-new" }, name, role), made, problem);

  async function guarded(order) {
    problem.hidden = true;
    try {
      await order();
    } catch (error) {
      fill(problem, icon("warning"), h("span", {}, sentence(error.message)));
      problem.hidden = false;
    }
  }

  const refresh = () => guarded(async () => {
    const list = await app.api.get("tokens");
    fill(rows, list.map((each) => h("tr", {}, h("td", {}, each.name), h("td", { class: "second" }, each.role), h("td", { class: "second" }, ago(each.created_at)),
      h("td", { class: "act" }, h("button", { type: "button", class: "btn small", onclick: () => guarded(async () => { await app.api.del(`tokens/${each.id}`); await refresh(); }) }, "Revoke")))));
  });

  async function make() {
    if (!name.value.trim()) throw new Error("Write a name: it says who changed what");
    const token = await app.api.post("tokens", { name: name.value.trim(), role: role.value });
    fill(made, h("p", {}, `The token of ${token.name}. It is shown only now.`), h("code", {}, token.token),
      h("button", { type: "button", class: "btn small", onclick: () => navigator.clipboard?.writeText(token.token) }, icon("copy"), "Copy"));
    made.hidden = false;
    name.value = "";
    await refresh();
    return false;
  }

  refresh();
  return show({ title: "Tokens", wide: true, body, actions: [{ text: "Make a token", kind: "primary", act: make }, { text: "Close" }] });
}
