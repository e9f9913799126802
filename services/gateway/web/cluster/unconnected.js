// No cluster: that this is fine, and how to connect one.

import { h } from "../element.js";

const EXAMPLE = `[cluster]
title = "Our cluster"
scheduler = "slurm"  # or "slurmrestd", "unicore"
folder = "/shared/reafference"
runtime = "apptainer"  # or another, or "none"
image = "/shared/images/reafference-job.sif"
partition = "normal"

[cluster.limits]
nodes = 16
time_s = 86400`;
const DOCUMENT = new URL("../docs/CLUSTER.md", import.meta.url).href;

export function makeUnconnected() {
  return h("section", { class: "card unconnected", "aria-label": "No cluster" },
    h("div", { class: "unconnected-text" },
      h("h2", {}, "Everything runs on this machine"),
      h("p", {}, "No cluster is connected, and none is needed: launch from the ", h("a", { href: "#/" }, "experiments"), ". With one, a brain can have many nodes: a job asks for them here, and once it serves it is one more place to launch on."),
      h("p", {}, "To connect one, whoever runs this server writes ", h("code", {}, "cluster.toml"), " into the server's home, and starts it again. Slurm is reached by its commands or over slurmrestd, any other site over UNICORE."),
      h("p", {}, h("a", { href: DOCUMENT, target: "_blank", rel: "noopener" }, "What each key is for"))),
    h("figure", {}, h("figcaption", { class: "muted small" }, "cluster.toml, for Slurm"), h("pre", { tabindex: 0, "aria-label": "Example of cluster.toml" }, EXAMPLE)));
}
