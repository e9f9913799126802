"""What all routes of the server stand on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .cluster import Cluster
from .jobs.serving_job import ServingJob
from .nest_api.face import LOCAL_PAGES
from .pages import Web
from .people import People
from .recorded_frames import Playing
from .remote.job_servers import JobServers, no_jobs
from .simulations import Simulations
from .storage import Storage
from .templates import Templates
from .tools import Tools


@dataclass(slots=True)
class Gateway:
    """All that routes need; they find it as `request.app.state.gateway`. `hosts`: further names of this server.
    `origins`: pages elsewhere that may look at kernels. `serving`: the jobs of the cluster that serve now."""

    people: People
    storage: Storage
    templates: Templates
    simulations: Simulations
    tools: Tools
    web: Web
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = LOCAL_PAGES
    playing: Playing = field(default_factory=Playing)
    cluster: Cluster = field(default_factory=Cluster)
    serving: Callable[[], Sequence[ServingJob]] = no_jobs
    job_servers: JobServers = field(init=False)

    def __post_init__(self) -> None:
        self.job_servers = JobServers(self.storage, self.tools, self.serving)
