import std_msgs.msg
@nrp.MapSpikeSink("heard", nrp.brain.listeners, nrp.population_rate)
@nrp.MapRobotPublisher("shoulder", Topic("/arm/shoulder/cmd_pos", std_msgs.msg.Float64))
@nrp.Neuron2Robot(Topic("/arm/elbow/cmd_pos", std_msgs.msg.Float64))
def bend(t, heard, shoulder):
    shoulder.send_message(std_msgs.msg.Float64(-0.3))
    return min(1.0, 0.005 * heard.rate)
