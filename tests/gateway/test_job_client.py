"""A script launches on a job as it does here: the same client, the same calls, and the recording at the end."""

import numpy as np
import pytest

from reafference import client

from .job_gateway import JobGateway, Site
from .runs import uploaded


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with (
        JobGateway(tmp_path_factory.mktemp("job")) as far,
        Site(tmp_path_factory.mktemp("home"), [far.job()]) as opened,
    ):
        opened.ready()
        yield opened


def test_a_script_runs_on_a_job_what_it_runs_here(site):
    experiment = uploaded(site.otto)
    with client.connect(site.url, token=site.secrets["otto"]) as session:
        assert [one.id for one in session.servers()] == ["local", "j4"]
        found = {}
        for server in ("local", "j4"):
            with session.launch(experiment, server=server, pace=0) as sim:
                sim.run(for_s=0.4)
                assert (sim.status.server, sim.status.step) == (server, 20)
                assert sim.latest("body/joints") is not None or sim.status.state == "paused"
                found[server] = sim.csv("body/joints")
                recording = sim.stop().recording
            site.until(lambda: recording in [one.id for one in session.recordings(experiment).list()])  # noqa: B023
        here, there = found["local"], found["j4"]
        assert list(here) == list(there)
        assert len(here["step"]) == 20
        for name in here:
            np.testing.assert_array_equal(here[name], there[name], err_msg=name)
