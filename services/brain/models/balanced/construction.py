"""Builds the balanced network in NEST: two populations, four projections."""

from typing import Any

from reafference.simulator import Report
from services.brain.kernel import nest
from services.brain.models.balanced.parameters import BalancedParameters
from services.brain.models.balanced.scaling import Scaled

PLASTIC = {"static_synapse_hpc": "stdp_pl_synapse_hom_hpc", "static_synapse": "stdp_pl_synapse_hom"}
"""The plastic synapse that goes with each static one."""


def construct(options: BalancedParameters, numbers: Scaled, static: str, report: Report) -> dict[str, Any]:
    """Neurons and the connections among them; the collections `E` and `I`."""
    nodes = {
        name: nest.Create("iaf_psc_alpha", size, _neuron(options, numbers))
        for name, size in (("E", options.excitatory), ("I", options.inhibitory))
    }
    plastic = _plastic(options, numbers, PLASTIC[static])
    excitatory = {"synapse_model": static, "weight": numbers.weight_e_pa, "delay": options.delay_ms}
    inhibitory = {**excitatory, "weight": numbers.weight_i_pa}
    projections = (
        ("E", "E", numbers.indegree_e, {**excitatory, "synapse_model": plastic}),
        ("E", "I", numbers.indegree_e, excitatory),
        ("I", "E", numbers.indegree_i, inhibitory),
        ("I", "I", numbers.indegree_i, inhibitory),
    )
    made = 0
    for done, (source, target, indegree, synapse) in enumerate(projections, 1):
        rule = {"rule": "fixed_indegree", "indegree": indegree, "allow_autapses": False, "allow_multapses": True}
        nest.Connect(nodes[source], nodes[target], rule, synapse)
        made += indegree * len(nodes[target])
        detail = f"{options.neurons:,} neurons, {made:,} synapses; {source} to {target}"
        report("connect neurons", done, len(projections), detail)
    return nodes


def _neuron(options: BalancedParameters, numbers: Scaled) -> dict[str, Any]:
    return {
        "C_m": options.C_m_pF,
        "tau_m": options.tau_m_ms,
        "E_L": options.E_L_mV,
        "V_th": options.V_th_mV,
        "V_reset": options.V_reset_mV,
        "t_ref": options.t_ref_ms,
        "tau_syn_ex": options.tau_syn_ms,
        "tau_syn_in": options.tau_syn_ms,
        "tau_minus": options.tau_minus_ms,
        "I_e": numbers.dc_pa,
        "V_m": nest.random.normal(mean=options.V_mean_mV, std=options.V_sd_mV),
    }


def _plastic(options: BalancedParameters, numbers: Scaled, model: str) -> str:
    """A synapse model with these constants, which all its synapses share; the name of it."""
    name = f"{model}_balanced"
    constants = {
        "alpha": numbers.stdp_alpha,
        "lambda": numbers.stdp_lambda,
        "mu": options.stdp_mu,
        "tau_plus": options.stdp_tau_plus_ms,
    }
    nest.CopyModel(model, name, constants)
    return name
