"""The scheduler that a site's settings name."""

from ..jobs.settings import ClusterSettings
from .scheduler import Scheduler
from .slurm_commands import SlurmCommands


def scheduler_of(settings: ClusterSettings) -> Scheduler:
    """Raises BadExperiment where it cannot be spoken to with what is installed here."""
    if settings.scheduler == "slurmrestd":
        from .slurm_rest import SlurmRest

        assert settings.rest is not None
        return SlurmRest(settings.rest)
    if settings.scheduler == "unicore":
        from .unicore import UnicoreSite

        assert settings.unicore is not None
        return UnicoreSite(settings.unicore)
    return SlurmCommands()
