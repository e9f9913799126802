import hbp_nrp_cle.tf_framework as nrp


@nrp.MapCSVRecorder(
    "table",
    filename="devices.csv",
    headers=["time", "noise", "beat", "steady", "wave", "shaky", "off", "alpha", "exp", "taps", "spiked"],
)
@nrp.MapSpikeSink("noise", nrp.brain.noisy, nrp.population_rate)
@nrp.MapSpikeSink("beat", nrp.brain.alternate[0:1], nrp.population_rate, tau_rise=10.0, tau_fall=20.0)
@nrp.MapSpikeSink("driven", nrp.map_neurons(range(4), lambda i: nrp.brain.pool[i]), nrp.population_rate)
@nrp.MapSpikeSink("alpha", nrp.brain.noisy, nrp.leaky_integrator_alpha, weight=10.0)
@nrp.MapSpikeSink("smooth", nrp.brain.circuit[slice(0, 20, 1)], nrp.leaky_integrator_exp, weight=10.0)
@nrp.MapSpikeSink("taps", nrp.brain.tapped, nrp.spike_recorder)
@nrp.Neuron2Robot()
def measure(t, table, noise, beat, driven, alpha, smooth, taps):
    """A row for each step."""
    rates = driven.rate
    table.record_entry(
        t,
        noise.rate / 20,
        beat.rate,
        rates[0],
        rates[1],
        rates[2],
        driven[3].rate,
        alpha.voltage,
        smooth.voltage,
        len(taps.times),
        int(taps.spiked),
    )
