"""MQTT: what a broker is told of simulations, and the orders it brings."""
