"""How the brain's process knows that it is one of several."""

import pytest

from services.brain.__main__ import _processes


@pytest.mark.parametrize(
    ("environment", "processes"),
    [
        ({}, 1),
        ({"OMPI_COMM_WORLD_SIZE": "3"}, 3),
        ({"PMI_SIZE": "4"}, 4),
        ({"PMIX_RANK": "0", "SLURM_STEP_NUM_TASKS": "2"}, 2),
        ({"SLURM_STEP_NUM_TASKS": "8"}, 1),  # alone, in a step of others
        ({"OMPI_COMM_WORLD_SIZE": "1", "PMIX_RANK": "0", "SLURM_STEP_NUM_TASKS": "8"}, 1),
    ],
)
def test_the_starter_of_a_job_tells_how_many_it_started(environment, processes):
    assert _processes(environment) == processes
