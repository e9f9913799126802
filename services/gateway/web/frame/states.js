/** Which of the six states each panel has, from what the server says. */

import { Loading } from "../panels/loading.js";

const BUILDING = new Set(["created", "initialised"]);
const NEXT = {
  body: ["Body comes next", "It appears here once it is built."],
  plots: ["No values yet", "Curves start with the first step."],
};
const DATA = ["body", "brain", "plots"];

/** A function that puts every data panel into the state in which it is now. */
export function panelStates({ panels, store, data, play }) {
  const loading = new Loading();
  let timer = 0;

  function building() {
    loading.show(store.simulation);
    for (const id of DATA) {
      const [head, text] = NEXT[id] ?? [];
      panels.get(id).state("loading", id === "brain" ? { content: loading.element } : { head, text });
    }
    clearTimeout(timer);
    timer = setTimeout(() => BUILDING.has(store.simulation?.state) && loading.element.isConnected && loading.show(store.simulation), 1000);
  }

  return () => {
    const { simulation, connection } = store;
    if (!simulation) return;
    const lost = connection.state === "lost" || (connection.state === "connecting" && panels.get("brain").stateName === "disconnected");
    if (BUILDING.has(simulation.state) && !lost) return building();
    for (const id of DATA) panels.get(id).state(...stateOf(id, simulation, lost, store, data, play));
  };
}

function stateOf(id, simulation, lost, store, data, play) {
  if (lost) return ["disconnected"];
  const { state } = simulation;
  const begun = (simulation.step ?? 0) > 0 || data.now_s > 0;
  if (state === "failed") return ["empty", { head: "Nothing was built", text: "The line above says why." }];
  if (id === "brain" && store.start && !store.ports.brain) return ["empty", { head: "No brain", text: "This experiment has a body alone: no spikes come." }];
  if (id === "brain" && store.ports.brain && !hasRecorders(store.ports.brain.facts)) {
    return ["empty", { head: "No spikes are recorded", text: "A sink of the kind spike_recorder in the experiment file makes populations appear here." }];
  }
  if (!begun && state === "paused" && id !== "body") {
    return ["empty", { head: id === "brain" ? "No spikes yet" : "No values yet", text: "They start with the first step.", action: { label: "Play", run: () => play().catch(() => {}) } }];
  }
  if (state === "halted") return ["halted"];
  return [state === "started" ? "live" : "paused"];
}

const hasRecorders = (facts) => Object.values(facts?.recorders ?? {}).some((labels) => Object.keys(labels).length);
