    # Imported Python Transfer Function
    #
    import cle_ros_msgs.msg
    @nrp.MapSpikeSink("drum", nrp.brain.drummer, nrp.population_rate)
    @nrp.Neuron2Robot(Topic("/monitor/population_rate", cle_ros_msgs.msg.SpikeRate))
    def rate_monitor(t, drum):
        return cle_ros_msgs.msg.SpikeRate(t, drum.rate, "rate_monitor")
    #
