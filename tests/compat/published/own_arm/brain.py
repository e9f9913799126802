"""Two who speak and four who listen, in one assembly."""
from hbp_nrp_cle.brainsim import simulator as sim

sim.setup(timestep=0.1, min_delay=0.1, max_delay=20.0, threads=1, rng_seeds=[1234])

speakers = sim.Population(2, cellclass=sim.IF_curr_exp())
others = sim.Population(4, cellclass=sim.IF_curr_exp())
sim.Projection(speakers, others, sim.AllToAllConnector(), sim.StaticSynapse(weight=[[5.0, 4.0, 3.0, 2.0], [5.0, 4.0, 3.0, 2.0]]))

circuit = speakers + others
