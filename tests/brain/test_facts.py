from services.brain import facts
from services.brain.kernel import nest
from services.brain.network import Network
from services.brain.together import Alone


def test_synapses_are_counted_without_those_of_devices() -> None:
    cells = nest.Create("iaf_psc_alpha", 10)
    relays = nest.Create("parrot_neuron", 5)
    noise = nest.Create("poisson_generator", 2)
    recorder, meter = nest.Create("spike_recorder"), nest.Create("multimeter")
    nest.Connect(relays, cells)
    nest.Connect(noise, relays)
    nest.Connect(cells, recorder)
    nest.Connect(meter, cells)
    nest.Connect(noise[:1], recorder)
    counted = facts.count(Network(populations={}), Alone())
    assert counted == {"neurons": 15, "relays": 0, "synapses": 50}
    assert nest.num_connections == 50 + 10 + 10 + 10 + 1


def test_a_network_without_devices_or_synapses_is_counted_too() -> None:
    nest.Create("iaf_psc_alpha", 3)
    assert facts.count(Network(populations={}), Alone()) == {"neurons": 3, "relays": 0, "synapses": 0}


def test_what_a_model_says_is_believed() -> None:
    network = Network(populations={}, neurons=7, relays=2, synapses=40)
    assert facts.count(network, Alone()) == {"neurons": 7, "relays": 2, "synapses": 40}
