// The door: a token, kept for this tab only and never written into an address.

import { fill, h } from "../element.js";
import { icon, mark } from "../icons.js";
import { sentence } from "../dialog.js";

export function open(root, params, app) {
  const input = h("input", { type: "password", id: "token", autocomplete: "current-password", required: true, spellcheck: "false", "aria-describedby": "login-note" });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const button = h("button", { class: "btn primary", type: "submit" }, "Sign in");
  const form = h("form", { class: "card login", onsubmit: enter },
    h("div", { class: "brand" }, mark(28), "Reafference"),
    h("p", { class: "second" }, "See brain and body as one moving thing, change it, see what the change did."),
    h("label", { class: "field" }, h("span", {}, "Token"), input),
    problem,
    button,
    h("p", { class: "muted small", id: "login-note" }, "The server printed a token at its first start: ", h("code", {}, "reaf serve"),
      ". An admin can make more. It stays in this tab until you close it."));
  fill(root, form);
  document.title = "Sign in · Reafference";
  input.focus();

  async function enter(event) {
    event.preventDefault();
    button.disabled = true;
    problem.hidden = true;
    const before = app.api.token;
    app.api.token = input.value.trim();
    try {
      app.me = await app.api.get("me", { stay: true });
      const after = sessionStorage.getItem("reaf.after_login");
      sessionStorage.removeItem("reaf.after_login");
      app.go(after && !after.startsWith("#/login") ? after : "#/");
    } catch (error) {
      app.api.token = before;
      const text = error.status === 401 ? "The server does not know this token. Check that all of it was copied" : error.message;
      fill(problem, icon("warning"), h("span", {}, sentence(text)));
      problem.hidden = false;
      input.select();
    } finally {
      button.disabled = false;
    }
  }

  return { close() {} };
}
