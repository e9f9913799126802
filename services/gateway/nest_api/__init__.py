"""NEST Server's interface, for NEST Desktop and NEST Client."""
