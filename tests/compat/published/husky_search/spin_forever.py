import hbp_nrp_cle.tf_framework as nrp
from hbp_nrp_cle.robotsim.RobotInterface import Topic
import geometry_msgs.msg


@nrp.Neuron2Robot(Topic("/husky/cmd_vel", geometry_msgs.msg.Twist))
def spin_forever(t):
    return geometry_msgs.msg.Twist(angular=geometry_msgs.msg.Vector3(z=1.0))
