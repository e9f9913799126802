"""The dialect of the Neurorobotics Platform 3: PUBLISHED.md tells what it has, and what not."""

from services.engine.dialects import Written
from services.engine.experiment import Experiment

from .published import Published


def load(experiment: Experiment, former: Written | None = None) -> Published:
    """The functions of an experiment; `former` are those of the run before a reset.

    Raises ScriptError or BadExperiment.
    """
    table = experiment.document.transfer
    assert table is not None
    written = Published(experiment.folder, table, former if isinstance(former, Published) else None)
    for name, text in experiment.transfer_files():
        written.load(name, text)
    return written
