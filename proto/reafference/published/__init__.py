"""Experiments in the published form of the Neurorobotics Platform 3, taken over as they stand.

Such an experiment is a folder with a configuration (`*.exc`), a file that couples brain and body (`*.bibi`), a brain
script, and transfer functions in Python. `take_over` reads them and says which files have to be written beside them so
that the experiment runs here: `experiment.toml`, and texts that stand in the middle of XML. What was published stays as
it is.
"""

from .experiment import TakenOver, is_published, remarks_in, take_over
from .populations import description, selection
from .python_text import unindented

__all__ = ["TakenOver", "description", "is_published", "remarks_in", "selection", "take_over", "unindented"]
