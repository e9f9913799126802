    # Imported Python Transfer Function
    #
    import cle_ros_msgs.msg
    @nrp.MapSpikeSink("heard", nrp.brain.listeners, nrp.population_rate)
    @nrp.Neuron2Robot(Topic("/monitor/population_rate", cle_ros_msgs.msg.SpikeRate))
    def rate_monitor(t, heard):
        return cle_ros_msgs.msg.SpikeRate(t, heard.rate, "rate_monitor")
    #
