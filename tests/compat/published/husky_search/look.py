import hbp_nrp_cle.tf_framework as nrp
from hbp_nrp_cle.robotsim.RobotInterface import Topic
import sensor_msgs.msg


@nrp.MapRobotSubscriber("camera", Topic("/husky/camera", sensor_msgs.msg.Image))
@nrp.MapSpikeSource("left_eye", nrp.brain.eyes[0], nrp.poisson, weight=1.5e-4)
@nrp.MapSpikeSource("right_eye", nrp.brain.eyes[1], nrp.poisson, weight=1.5e-4)
@nrp.MapSpikeSource("rest", nrp.brain.eyes[2:3], nrp.poisson)
@nrp.Robot2Neuron()
def look(t, camera, left_eye, right_eye, rest):
    """Spikes for what is red on either side of the picture."""
    seen = nrp.tf_lib.detect_red(image=camera.value)
    left_eye.rate = 2000.0 * seen.left
    right_eye.rate = 2000.0 * seen.right
    rest.rate = 75.0 * seen.go_on
