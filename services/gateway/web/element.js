// One element in one call: h("button", {class: "btn", onclick: go}, "Launch…").

/**
 * Properties that start with "on" become listeners, `data` becomes data-…, `value`, `checked` and the like are set as
 * properties, true and false add and leave out an attribute, the rest are attributes. Children: nodes, texts, lists;
 * null, undefined and false are left out.
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) give(element, name, value);
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

const AS_PROPERTY = new Set(["value", "checked", "disabled", "hidden", "selected", "readOnly", "indeterminate"]);

function give(element, name, value) {
  if (value == null) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "data") Object.assign(element.dataset, value);
  else if (AS_PROPERTY.has(name)) element[name] = value;
  else if (value === true) element.setAttribute(name, "");
  else if (value !== false) element.setAttribute(name, value);
}

/** Puts `children` in the place of what `element` holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

/** Sets a text only when it differs, so that unchanged numbers cost nothing. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
