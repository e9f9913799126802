"""NEST as NRP-core's engines nest_json and nest_server have it: a script, and datapacks of what its objects are."""
