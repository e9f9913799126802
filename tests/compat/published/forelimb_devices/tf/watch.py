import hbp_nrp_cle.tf_framework as nrp


@nrp.NeuronMonitor(nrp.brain.noisy + nrp.brain.alternate, nrp.spike_recorder)
def watch(t):
    return True
