import hbp_nrp_cle.tf_framework as nrp
from hbp_nrp_cle.robotsim.RobotInterface import Topic
import geometry_msgs.msg


@nrp.MapSpikeSink("left", nrp.brain.wheels[0], nrp.leaky_integrator_alpha)
@nrp.MapSpikeSink("right", nrp.brain.wheels[1], nrp.leaky_integrator_alpha)
@nrp.MapSpikeSink("drum", nrp.brain.drummer, nrp.population_rate)
@nrp.Neuron2Robot(Topic("/husky/cmd_vel", geometry_msgs.msg.Twist))
def drive(t, left, right, drum):
    """The mean of both wheels forward, their difference as a turn."""
    clientLogger.info("drum", round(drum.rate, 3))
    return geometry_msgs.msg.Twist(
        linear=geometry_msgs.msg.Vector3(x=20.0 * min(left.voltage, right.voltage), y=0.0, z=0.0),
        angular=geometry_msgs.msg.Vector3(x=0.0, y=0.0, z=100.0 * (right.voltage - left.voltage)),
    )
