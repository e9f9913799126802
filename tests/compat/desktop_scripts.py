"""Scripts as NEST Desktop makes them of its first projects, and further ones in the same manner."""

_HEAD = """\
import nest
import numpy as np

nest.ResetKernel()

# Set simulation kernel
nest.SetKernelStatus({
  "local_num_threads": 1,
  "resolution": 0.1,
  "rng_seed": 1
})

# Create nodes
"""

SPIKE_ACTIVITY = (
    _HEAD
    + """\
pg1 = nest.Create("poisson_generator", params={
  "rate": 6500,
})
n1 = nest.Create("iaf_psc_alpha", 100)
sr1 = nest.Create("spike_recorder")

# Connect nodes
nest.Connect(pg1, n1, syn_spec={
  "weight": 10,
})
nest.Connect(n1, sr1)

# Run simulation
nest.Simulate(200)

response = {
  "events": [sr1.events, ]
}
"""
)

SPIKE_RESPONSE = (
    _HEAD
    + """\
sg1 = nest.Create("spike_generator", params={
  "spike_times": [30],
})
n1 = nest.Create("iaf_psc_alpha")
vm1 = nest.Create("voltmeter", params={
  "interval": 0.1,
})

# Connect nodes
nest.Connect(sg1, n1)
nest.Connect(vm1, n1)

# Run simulation
nest.Simulate(100)

response = {
  "events": [vm1.events, ]
}
"""
)

STEP_CURRENT_RESPONSE = (
    _HEAD
    + """\
dc1 = nest.Create("dc_generator", 11, params={
  "amplitude": [-100, -40, 20, 80, 140, 200, 260, 320, 380, 440, 500],
  "start": 20,
  "stop": 80,
})
n1 = nest.Create("iaf_psc_alpha", 11)
mm1 = nest.Create("multimeter", params={
  "interval": 0.5,
  "record_from": ["V_m"],
})
sr1 = nest.Create("spike_recorder")

# Connect nodes
nest.Connect(dc1, n1, "one_to_one")
nest.Connect(mm1, n1[0:5])
nest.Connect(n1, sr1)

# Run simulation
nest.Simulate(100)

response = {
  "events": [mm1.events, sr1.events, ]
}
"""
)

SPATIAL_SPIKE_ACTIVITY = (
    _HEAD
    + """\
pg1 = nest.Create("poisson_generator", params={
  "rate": 6500,
})
n1 = nest.Create("iaf_psc_alpha", 100, positions=nest.spatial.free(
  [[0.1 * (i % 10) - 0.45, 0.1 * (i // 10) - 0.45] for i in range(100)], extent=[1, 1], edge_wrap=False))
sr1 = nest.Create("spike_recorder")

# Connect nodes
nest.Connect(pg1, n1, syn_spec={
  "weight": 10,
})
nest.Connect(n1, n1, conn_spec={"rule": "pairwise_bernoulli", "p": 0.1}, syn_spec={"weight": 1.0})
nest.Connect(n1, sr1)

# Run simulation
nest.Simulate(100)

# Get positions
def getPositions(nodes):
    positions = {}
    for node in nodes:
        position = nest.GetPosition(node)
        for idx in range(len(node)):
            positions[node[idx].global_id] = position[idx]
    return positions

response = {
  "events": [sr1.events, ],
  "positions": getPositions([n1, ])
}
"""
)

COPIED_MODELS = (
    _HEAD.replace("# Create nodes\n", "# Copy node models\n")
    + """\
nest.CopyModel("iaf_psc_alpha", "iaf_mine", params={
  "t_ref": 5.0,
})

# Create nodes
n1 = nest.Create("iaf_mine", 10, params={
  "I_e": 400.0,
})
sr1 = nest.Create("spike_recorder")

# Copy synapse models
nest.CopyModel("static_synapse", "static_mine", params={
  "weight": 2.0,
})

# Connect nodes
nest.Connect(n1, n1, syn_spec="static_mine")
nest.Connect(n1, sr1)

# Run simulation
nest.Simulate(100)

response = {
  "events": [sr1.events, ]
}
"""
)

SPATIAL_FREELY = (
    _HEAD.replace('"resolution": 0.1', '"resolution": 1')
    + """\
pg1 = nest.Create("poisson_generator", params={
  "rate": 6500,
})
n1 = nest.Create("iaf_psc_alpha", 100,
  positions=nest.spatial.free(
\t\tnest.random.uniform(-0.5, 0.5),
\t\tnum_dimensions=2
\t)
)
sr1 = nest.Create("spike_recorder")

# Connect nodes
nest.Connect(pg1, n1, syn_spec={
  "weight": 10,
})
nest.Connect(n1, sr1)

# Run simulation
nest.Simulate(1000)

# Get positions
pos = lambda n: dict(zip(n.global_id, nest.GetPosition(n)))

response = {
  "events": [sr1.events, ],
  "positions": { **pos(n1), }
}
"""
)
"""Needs names that restricted scripts do not have, on the stock server neither."""

ALL = {
    "spike activity": SPIKE_ACTIVITY,
    "spike response": SPIKE_RESPONSE,
    "step current response": STEP_CURRENT_RESPONSE,
    "spatial spike activity": SPATIAL_SPIKE_ACTIVITY,
    "copied models": COPIED_MODELS,
}
