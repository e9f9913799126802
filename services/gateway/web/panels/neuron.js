/** One neuron: where it is, when it fired last, and its parameters, which its owner may set. */
import { h } from "../element.js";
import { number, telling } from "../words.js";

const NAMES = ["V_m", "V_th", "V_reset", "E_L", "C_m", "t_ref", "I_e"]; // what every integrate-and-fire neuron of NEST has
const FIXED = new Set(["V_m"]);
const UNITS = { V_m: "mV", V_th: "mV", V_reset: "mV", E_L: "mV", C_m: "pF", t_ref: "ms", I_e: "pA" };

/** Shows the neuron in `inspector` and asks for its parameters. Returns {spiked(words)}. */
export function makeNeuron({ ctx, inspector, population, index, id, place }) {
  const path = `simulations/${encodeURIComponent(idOf(ctx.sim))}/populations/${encodeURIComponent(`${population.name}[${index}]`)}/parameters`;
  let spiked = "–";
  const rows = () => [
    ["neuron", `${id}`],
    ["place, mm", place.map((x) => number(Math.abs(x) < 0.005 ? 0 : x, 2)).join(" ")],
    ["last spike", spiked],
  ];
  const box = h("div", { class: "neuron-parameters" });
  inspector.element.querySelector(".neuron-parameters")?.remove();
  inspector.show(population.name, population.sign === "I" ? "inhibitory" : population.sign === "E" ? "excitatory" : "");
  inspector.rows(rows());
  inspector.note("");
  inspector.element.append(box);
  if (idOf(ctx.sim)) learn();

  async function learn() {
    try {
      const values = await ctx.api.get(`${path}?names=${NAMES.join(",")}`);
      const found = NAMES.filter((name) => (values.parameters ?? values)[name] !== undefined);
      box.append(...found.map((name) => field(name, (values.parameters ?? values)[name])));
    } catch (problem) {
      inspector.note(problem.detail ?? problem.message, true);
    }
  }

  function field(name, value) {
    const now = Array.isArray(value) ? value[0] : value;
    const input = h("input", { type: "number", step: "any", value: telling(now, 4).replaceAll(",", ""), disabled: !ctx.editable || FIXED.has(name), "aria-label": `${name} in ${UNITS[name]}` });
    input.addEventListener("change", () => order(name, Number(input.value)));
    return h("label", {}, h("span", {}, name), input, h("small", {}, UNITS[name]));
  }

  async function order(name, value) {
    try {
      await ctx.api.patch(path, { [name]: value });
      inspector.note(`${name} is ${value} ${UNITS[name]} now`);
    } catch (problem) {
      inspector.note(problem.detail ?? problem.message, true);
    }
  }

  return {
    spiked(words) {
      if (words === spiked) return;
      spiked = words;
      inspector.rows(rows());
    },
  };
}

function idOf(sim) {
  return (typeof sim === "string" ? sim : sim?.id) ?? "";
}
