import hbp_nrp_cle.tf_framework as nrp
from hbp_nrp_cle.robotsim.RobotInterface import Topic
import sensor_msgs.msg


@nrp.MapVariable("calls", initial_value=0)
@nrp.MapVariable("elbow", global_key="elbow_angle", initial_value=None, scope=nrp.GLOBAL)
@nrp.MapRobotSubscriber("joints", Topic("/joint_states", sensor_msgs.msg.JointState))
@nrp.MapSpikeSource("noise", nrp.map_neurons(range(0, 20), lambda i: nrp.brain.noisy[i]), nrp.poisson, weight=1.0)
@nrp.MapSpikeSource("beat", nrp.brain.alternate[0], nrp.fixed_frequency, weight=1.0)
@nrp.MapSpikeSource("tap", nrp.brain.tapped, nrp.injector, weight=1.0, delay=0.1)
@nrp.Robot2Neuron()
def stimulate(t, calls, elbow, joints, noise, beat, tap):
    """Noise and a beat all the time, two taps at half a second."""
    calls.value = calls.value + 1
    noise.rate = 100.0
    beat.rate = 20.0
    if abs(t - 0.5) < 1e-6:
        tap.inject_spikes([0.0, 5.0])
    if joints.value is not None:
        elbow.value = joints.value.position[joints.value.name.index("elbow")]
