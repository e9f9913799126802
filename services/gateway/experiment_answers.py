"""What is sent and answered about experiments, files and recordings, as OpenAPI describes it."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

Name = Annotated[str, StringConstraints(min_length=1, max_length=80)]


class Facts(BaseModel):
    """Sizes of an experiment; null where nobody knows before it has run."""

    cells: int | None
    synapses: int | None
    populations: int | None
    muscles: int | None
    functions: int | None
    camera: bool | None


class Limit(BaseModel):
    """When a run ends by itself."""

    kind: Literal["simulated", "real"]
    s: float


class RecordingsHeld(BaseModel):
    count: int
    bytes: int


class LastRun(BaseModel):
    """How the newest recording ended; `outcome` is empty while it is being written."""

    recording: str
    started_at: str
    outcome: str
    steps: int
    simulated_s: float
    text: str


class Experiment(BaseModel):
    """An experiment or a template; of a template `owner` is empty."""

    id: str
    name: str
    title: str
    description: str
    template: str
    owner: str
    tags: list[str]
    facts: Facts
    limit: Limit | None
    changed_at: str
    bytes: int
    recordings: RecordingsHeld
    last_run: LastRun | None


class Uploaded(Experiment):
    """What has been made of a zip file. `remarks`: what is other than it was on the published platform."""

    remarks: list[str]


class FileShown(BaseModel):
    path: str
    bytes: int
    changed_at: str
    text: bool = Field(description="whether people read it, so that it can be edited")


class FileWritten(BaseModel):
    path: str
    bytes: int
    etag: str


class CloneWish(BaseModel):
    """What to clone: the id of a template or of an experiment."""

    source: Name
    name: Name | None = None


class NameWish(BaseModel):
    """Another name or title; an empty title means that of the experiment file."""

    name: Name | None = None
    title: Annotated[str, StringConstraints(max_length=200)] | None = None


class Found(BaseModel):
    """One thing that prevents the experiment from being run."""

    text: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    line_text: str | None = None
    key: str | None = None


class Checked(BaseModel):
    """Empty where nothing was found."""

    problems: list[Found]


class RecordingFile(BaseModel):
    path: str
    bytes: int


class RecordingShown(BaseModel):
    """A recorded run; `outcome` is empty while it is being written."""

    id: str
    run: str
    title: str
    started_at: str
    outcome: str
    text: str
    steps: int
    simulated_s: float
    seed: int | None
    neurons: int | None
    synapses: int | None
    bytes: int
    files: list[RecordingFile]


class Server(BaseModel):
    """A place where simulations run."""

    id: str
    title: str
    places: int
    busy: int
    cores: int
    memory_gb: float
    kind: Literal["local", "containers", "job"] = "local"
    ready: Annotated[bool, Field(description="whether it can launch one, if a place is free")] = True
    text: Annotated[str, Field(description="why it is not ready, and what is done about that")] = ""
    images: Annotated[list[str], Field(description="the image versions that can be chosen there")] = []
