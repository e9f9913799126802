"""Published brain scripts: without build(), in PyNEST and in PyNN, on the kernel that the experiment has set up."""

import sys
import warnings
from pathlib import Path
from textwrap import dedent

import pytest

from reafference.errors import BadExperiment, ScriptError
from services.brain.kernel import Delays, KernelSetup, nest
from services.brain.script import Script

SETUP = KernelSetup(resolution_ns=100_000, seed=9, threads=1, delays=Delays(0.1, 20.0))
EIGHT = """
    from hbp_nrp_cle.brainsim import simulator as sim
    circuit = sim.Population(8, sim.IF_cond_alpha(tau_refrac=2.0))
"""


def build(text: str, folder: Path, /, setup: KernelSetup = SETUP, **parameters: object) -> dict[str, list[int]]:
    setup.apply()
    _, populations = Script("brain.py", dedent(text), folder).build(parameters, setup)
    return {name: p.ids.tolist() for name, p in populations.items()}


def failure(text: str, folder: Path, error: type = ScriptError) -> str:
    with pytest.raises(error) as raised:
        build(text, folder)
    return str(raised.value.text)


def test_names_at_the_top_that_hold_nodes_are_populations(tmp_path: Path) -> None:
    text = """
        import nest
        circuit = nest.Create("iaf_cond_alpha", 8)
        sensors = circuit[0:5]
        every_other = circuit[::2]
        _hidden = circuit[1:2]
        clock = nest.Create("poisson_generator")
        recorder = nest.Create("spike_recorder")
        number, words = 8, [1, 2]
    """
    assert build(text, tmp_path) == {
        "circuit": list(range(1, 9)),
        "sensors": [1, 2, 3, 4, 5],
        "every_other": [1, 3, 5, 7],
    }


def test_a_script_that_names_no_neurons_is_told_what_to_do(tmp_path: Path) -> None:
    assert "circuit = nest.Create" in failure("import nest\nclock = nest.Create('poisson_generator')\n", tmp_path)


def test_parameters_are_for_scripts_with_build(tmp_path: Path) -> None:
    with pytest.raises(BadExperiment, match="no function build"):
        build("import nest\ncircuit = nest.Create('parrot_neuron', 2)\n", tmp_path, n=3)


def test_names_of_python_2_are_there_for_published_scripts(tmp_path: Path) -> None:
    text = """
        import nest
        assert unicode("a") == "a" and long(3) == 3
        circuit = nest.Create("parrot_neuron", len(list(xrange(4))))
    """
    assert build(text, tmp_path) == {"circuit": [1, 2, 3, 4]}


def test_syntax_of_python_2_is_named_as_such(tmp_path: Path) -> None:
    text = failure("import nest\nprint 'building'\n", tmp_path)
    assert text.startswith("brain.py, line 2: SyntaxError: Missing parentheses")
    assert "this is Python 2: change the line to Python 3" in text


def test_populations_views_and_assemblies_of_pynn_are_populations(tmp_path: Path) -> None:
    found = build(
        EIGHT
        + """
    view = circuit[2:8:2]
    chosen = circuit[[1, 5]]
    other = sim.Population(3, sim.IF_curr_exp())
    both = circuit + other
    """,
        tmp_path,
    )
    circuit, other = found["circuit"], found["other"]
    assert len(circuit) == 8
    assert circuit == sorted(circuit)
    assert found["view"] == circuit[2:8:2]
    assert found["chosen"] == [circuit[1], circuit[5]]
    assert found["both"] == circuit + other


def test_build_may_return_populations_of_pynn(tmp_path: Path) -> None:
    text = """
        def build(n):
            import pyNN.nest as sim
            return {"cells": sim.Population(n, sim.IF_cond_exp())}
    """
    assert len(build(text, tmp_path, n=3)["cells"]) == 3


def test_parameters_and_weights_are_in_the_units_of_nest_afterwards(tmp_path: Path) -> None:
    ids = build(
        EIGHT
        + """
    circuit[5:6].set(v_thresh=-53.0)
    sim.initialize(circuit, v=-62.0)
    sim.Projection(circuit[0:1], circuit[7:8], sim.OneToOneConnector(), sim.StaticSynapse(weight=0.0015, delay=2.0),
                   receptor_type="inhibitory")
    """,
        tmp_path,
    )["circuit"]
    cells = nest.NodeCollection(ids)
    assert cells[5].V_th == -53.0
    assert set(cells.V_m) == {-62.0}
    synapses = nest.GetConnections(cells)
    assert synapses.get(["source", "target", "weight", "delay"]) == {
        "source": ids[0],
        "target": ids[7],
        "weight": pytest.approx(-1.5),
        "delay": 2.0,
    }


@pytest.mark.parametrize(
    "connector",
    [
        "AllToAllConnector()",
        "FixedProbabilityConnector(0.5)",
        "FixedNumberPreConnector(3)",
        "FromListConnector([(0, 1, 0.1, 1.0)])",
    ],
)
def test_the_usual_connectors_connect(connector: str, tmp_path: Path) -> None:
    build(EIGHT + f"    sim.Projection(circuit, circuit, sim.{connector}, sim.StaticSynapse(weight=0.1))\n", tmp_path)
    assert nest.num_connections > 0


def test_sources_of_pynn_are_connected_though_nobody_calls_run(tmp_path: Path) -> None:
    text = (
        EIGHT
        + """
    noise = sim.Population(8, sim.SpikeSourcePoisson(rate=500.0))
    sim.Projection(noise, circuit, sim.OneToOneConnector(), sim.StaticSynapse(weight=0.05, delay=1.0))
    once = sim.Population(1, sim.SpikeSourceArray(spike_times=[3.03, 4.07]))
    """
    )
    found = build(text, tmp_path)
    recorder = nest.Create("spike_recorder")
    nest.Connect(nest.NodeCollection(found["once"]), recorder)
    nest.Connect(nest.NodeCollection(found["noise"]), recorder)
    nest.Simulate(200.0)
    senders = recorder.get("events", "senders").tolist()
    assert senders.count(found["once"][0]) == 2
    assert len(senders) == pytest.approx(800, abs=150)


def test_setup_of_pynn_leaves_the_kernel_as_the_experiment_says(tmp_path: Path) -> None:
    text = """
        import pyNN.nest as sim
        sim.setup(timestep=0.1, min_delay=0.1, max_delay=20.0, threads=4, rng_seeds=[1234], spike_precision="on_grid")
        circuit = sim.Population(2, sim.IF_cond_exp())
    """
    build(text, tmp_path)
    assert (nest.rng_seed, nest.local_num_threads, nest.resolution, nest.min_delay) == (9, 1, 0.1, 0.1)
    assert not nest.GetDefaults("spike_generator", "precise_times")


@pytest.mark.parametrize(
    ("call", "key"), [("timestep=0.05", "brain.resolution_ms"), ("min_delay=0.5, max_delay=9.0", "brain.min_delay_ms")]
)
def test_a_setup_that_says_otherwise_is_an_error(call: str, key: str, tmp_path: Path) -> None:
    text = f"import pyNN.nest as sim\nsim.setup({call})\ncircuit = sim.Population(2, sim.IF_cond_exp())\n"
    assert failure(text, tmp_path, BadExperiment).startswith(f"{key}: brain.py sets PyNN up with")


@pytest.mark.parametrize("call", ["run(10.0)", "run_until(5.0)", "end()", "reset()"])
def test_a_script_may_not_run_by_itself(call: str, tmp_path: Path) -> None:
    text = failure(f"import pyNN.nest as sim\ncircuit = sim.Population(2, sim.IF_cond_exp())\nsim.{call}\n", tmp_path)
    assert text.startswith("brain.py, line 3: ")
    assert "of PyNN is not for a brain script" in text


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("import hbp_nrp_cle.robotsim.RobotInterface", "hbp_nrp_cle.robotsim"),
        ("from hbp_nrp_cle.brainsim.nest import devices", "hbp_nrp_cle.brainsim.nest"),
    ],
)
def test_modules_of_the_platform_that_are_not_provided_are_named(line: str, name: str, tmp_path: Path) -> None:
    text = failure(f"import nest\n{line}\n", tmp_path)
    assert text.startswith(f"brain.py, line 2: ImportError: {name} is not provided here: a brain script may use")


def test_the_root_of_the_brain_is_the_script_itself(tmp_path: Path) -> None:
    text = """
        import nest
        import hbp_nrp_cle.tf_framework as nrp
        circuit = nest.Create("parrot_neuron", 4)
        front = nrp.config.brain_root.circuit[:2]
    """
    assert build(text, tmp_path)["front"] == [1, 2]


def test_nothing_of_it_is_left_for_the_next_brain(tmp_path: Path) -> None:
    first = build(EIGHT, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert build(EIGHT, tmp_path) == first
    assert not any(name.startswith("hbp_nrp_cle") for name in sys.modules)
    import pyNN.nest

    assert pyNN.nest.run.__module__ == "pyNN.common.control"
    assert build("import nest\nplain = nest.Create('parrot_neuron', 2)\n", tmp_path) == {"plain": [1, 2]}


@pytest.mark.parametrize(
    "lines",
    [
        "sensors = sim.PopulationView(circuit, np.arange(8).reshape(4, 2)[:2].flatten())",
        "down, up = [sim.Population(1, cellclass=sim.IF_curr_exp()) for _ in range(2)]",
        "static = sim.StaticSynapse(weight=np.ones((4, 2)))\n"
        "sim.Projection(circuit[0:4], circuit[4:6], sim.AllToAllConnector(), static)",
        "sim.Projection(circuit[0:1], circuit[4:6], sim.AllToAllConnector(), sim.StaticSynapse(weight=[[1.0, 2.0]]))",
        "random = sim.RandomDistribution('uniform', (1.0, 19.0))\n"
        "sim.Projection(circuit, circuit, sim.AllToAllConnector(), sim.StaticSynapse(weight=1.5, delay=random))",
        "old = sim.Population(2, sim.IF_cond_exp, {'v_rest': -60.0}, label='old')",
        "sim.nest.ResetKernel()\nsim.nest.SetKernelStatus({'resolution': 0.1, 'overwrite_files': True})\n"
        "circuit = sim.nest.Create('iaf_cond_exp', 5)",
        "stdp = sim.STDPMechanism(timing_dependence=sim.SpikePairRule(tau_plus=20.0, tau_minus=20.0, A_plus=0.01, "
        "A_minus=0.012), weight_dependence=sim.AdditiveWeightDependence(w_min=0, w_max=0.1), weight=0.05, delay=1.0)\n"
        "sim.Projection(circuit[0:2], circuit[2:6], sim.AllToAllConnector(), stdp)",
        "circuit.record('spikes')\ncurrent = sim.DCSource(amplitude=0.5)\ncurrent.inject_into(circuit)",
        "from hbp_nrp_excontrol.logs import clientLogger\nclientLogger.info('built')",
        "from pyNN.random import NumpyRNG\nfrom pyNN import space",
    ],
)
def test_what_published_scripts_write(lines: str, tmp_path: Path) -> None:
    text = "import numpy as np\n" + dedent(EIGHT) + lines + "\n"
    assert "circuit" in build(text, tmp_path)


def test_a_map_named_circuit_names_the_populations(tmp_path: Path) -> None:
    text = """
        from hbp_nrp_cle.brainsim import simulator as sim
        cell = sim.IF_curr_exp()
        circuit = {"a": sim.Population(3, cell, label="eyes"), "b": sim.Population(2, cell, label="legs")}
    """
    assert {name: len(ids) for name, ids in build(text, tmp_path).items()} == {"eyes": 3, "legs": 2}


def test_a_name_that_the_experiment_gives_is_none_of_the_script(tmp_path: Path) -> None:
    text = "import nest\ncircuit = nest.Create('parrot_neuron', 4)\nsensors = circuit[:3]\n"
    SETUP.apply()
    _, found = Script("brain.py", text, tmp_path).build({}, SETUP, selections=["sensors"])
    assert list(found) == ["circuit"]


@pytest.mark.parametrize("name", ["circuit", "populations"])
def test_so_does_a_map_of_nodes_and_nest_need_not_be_imported(name: str, tmp_path: Path) -> None:
    text = f"""
        from collections import OrderedDict
        nest.ResetKernel()
        layers = OrderedDict((name, nest.Create("iaf_cond_alpha", 3)) for name in ("M1_L1_ENGC", "M1_L23_CC"))
        {name} = layers
    """
    assert build(text, tmp_path) == {"M1_L1_ENGC": [1, 2, 3], "M1_L23_CC": [4, 5, 6]}
