"""Twenty-four relays, which fire when they are told to, and four neurons for currents."""

import nest

nest.ResetKernel()
nest.SetKernelStatus({"resolution": 0.1})

circuit = nest.Create("parrot_neuron", 24)
pool = nest.Create("iaf_psc_alpha", 4, params={"C_m": 250.0, "tau_m": 10.0, "t_ref": 2.0, "V_th": -55.0, "E_L": -70.0})

if __name__ == "__main__":
    nest.Simulate(1000.0)
