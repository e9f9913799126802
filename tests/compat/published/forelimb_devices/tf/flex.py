import hbp_nrp_cle.tf_framework as nrp
from hbp_nrp_cle.robotsim.RobotInterface import Topic
from std_msgs.msg import Float64
import gazebo_ros_muscle_interface.msg


@nrp.MapVariable("elbow", global_key="elbow_angle", initial_value=None, scope=nrp.GLOBAL)
@nrp.MapCSVRecorder("limb", filename="limb.csv", headers=["time", "elbow", "force", "length"])
@nrp.MapRobotSubscriber(
    "muscles",
    Topic("/gazebo_muscle_interface/robot/muscle_states", gazebo_ros_muscle_interface.msg.MuscleStates),
)
@nrp.MapRobotPublisher("humerus", Topic("/gazebo_muscle_interface/robot/Humerus1/cmd_activation", Float64))
@nrp.MapSpikeSink("beat", nrp.brain.alternate[0], nrp.population_rate)
@nrp.Neuron2Robot(Topic("/gazebo_muscle_interface/robot/Foot1/cmd_activation", Float64))
def flex(t, elbow, limb, muscles, humerus, beat):
    """One muscle by the beat of the brain, one by what is returned."""
    humerus.send_message(Float64(min(1.0, 0.04 * beat.rate)))
    if muscles.value is not None:
        found = dict((m.name, m) for m in muscles.value.muscles)
        limb.record_entry(t, elbow.value, found["Humerus1"].force, found["Humerus1"].length)
    if t > 0.5:
        clientLogger.info("pulling at", t)
        clientLogger.advertise("It pulls.", duration=2000)
    return 0.8 if t > 0.5 else 0.05
