"""For the script that compiles the module: prints where NEST's headers are and which file to make, a line each."""

from services.brain import nest_module

print(nest_module.headers())
print(nest_module.target())
