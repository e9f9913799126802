import hbp_nrp_cle.tf_framework as nrp


@nrp.MapSpikeSource("steady", nrp.brain.pool[0], nrp.dc_source, amplitude=500.0)
@nrp.MapSpikeSource("wave", nrp.brain.pool[1], nrp.ac_source, amplitude=100.0, offset=500.0, frequency=10.0)
@nrp.MapSpikeSource("shaky", nrp.brain.pool[2], nrp.nc_source, mean=500.0, std=50.0)
@nrp.MapSpikeSource("off", nrp.brain.pool[3], nrp.dc_source)
@nrp.Robot2Neuron()
def currents(t, steady, wave, shaky, off):
    off.amplitude = 500.0
    off.active = False
