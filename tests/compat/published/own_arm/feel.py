import sensor_msgs.msg
@nrp.MapRobotSubscriber("joints", Topic("/arm/joint_states", sensor_msgs.msg.JointState))
@nrp.MapSpikeSource("speakers", nrp.brain.speakers, nrp.poisson, weight=10.0)
@nrp.MapCSVRecorder("angles", filename="angles.csv", headers=["time", "shoulder", "elbow"])
@nrp.Robot2Neuron()
def feel(t, joints, speakers, angles):
    speakers.rate = 400.0
    if joints.value:
        where = dict(zip(joints.value.name, joints.value.position))
        angles.record_entry(t, where["shoulder"], where["elbow"])
