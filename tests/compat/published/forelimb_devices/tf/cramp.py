import hbp_nrp_cle.tf_framework as nrp
from hbp_nrp_cle.robotsim.RobotInterface import Topic
import std_msgs.msg


@nrp.Neuron2Robot(Topic("/gazebo_muscle_interface/robot/Radius1/cmd_activation", std_msgs.msg.Float64))
def cramp(t):
    return 1.0
