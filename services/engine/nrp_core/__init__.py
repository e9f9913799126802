"""Experiments of NRP-core: their configuration, their functions, and simulators that are scripts."""
