"""Jobs whose programs are in containers: the digests are those of a run without."""

import shutil
from pathlib import Path

import pytest
from images import engine_answers, image
from jobs import processes_of, recording_of, run_through, services_of, small_mouse, summary, wait

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not engine_answers(), reason="NO CONTAINER ENGINE ANSWERS: IMAGES ARE NOT TESTED"),
]
STAND_INS = Path(__file__).parent / "stand_ins"


def needs(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed: NOT TESTED")


RUNTIMES = [
    pytest.param("apptainer", marks=needs("apptainer")),
    pytest.param("charliecloud", marks=needs("ch-run")),
]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_brains_image_runs_over_two_nodes_with_the_digests_of_a_laptop(jobs, local_digests, runtime):
    job = jobs.submit(runtime=runtime, image=image("job", runtime), brain_image=image("brain", runtime))
    with job.connect() as session:
        for _ in range(2):
            status = run_through(session)
            assert status.outcome == "finished"
            assert summary(recording_of(job, status))["digests"] == local_digests
        simulation = small_mouse(session, steps=1_000_000)
        assert {rank.node for rank in services_of(job)["brain"]} == {"n2", "n3"}
        simulation.start()
        last = simulation.wait(0.1, timeout_s=60)
    job.ask_to_end()
    assert job.ended(60.0).exit_status == 0, job.log
    assert summary(recording_of(job, last))["outcome"] == "stopped"
    wait(lambda: processes_of(job.folder) == {}, 10.0, lambda: processes_of(job.folder))


@needs("apptainer")
def test_a_stand_in_for_sarus_understands_its_command_lines(jobs, local_digests):
    """Not Sarus: what is tested is how we write its command lines, and that programs find what they need."""
    sif = Path(image("job", "apptainer"))
    name, _, version = sif.stem.rpartition("-")
    way = f"export PATH={STAND_INS}:$PATH SARUS_IMAGES={sif.parent}"
    job = jobs.submit(runtime="sarus", image=f"load/library/{name}:{version}", setup=(*jobs.setup, way))
    with job.connect() as session:
        status = run_through(session)
        assert summary(recording_of(job, status))["digests"] == local_digests


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_image_that_is_not_there_is_told(jobs, runtime):
    status = jobs.submit(runtime=runtime, image="/var/tmp/no-such-image").ended(90.0)
    assert status.exit_status == 22
