"""What Slurm's programs say, as it was recorded from Slurm 22.05, and as its later REST versions write it."""

import base64
import http.server
import json
import threading
from pathlib import Path
from typing import ClassVar

import pytest

from services.gateway.jobs.settings import Rest as RestSettings
from services.gateway.schedulers import hostlist, slurm_commands, slurm_options, slurm_replies, slurm_words
from services.gateway.schedulers.scheduler import Refused, Silent
from services.gateway.schedulers.slurm_commands import SlurmCommands
from services.gateway.schedulers.slurm_rest import SlurmRest

RECORDED = Path(__file__).with_name("slurm")

QUEUE = """\
1|FAILED|NonZeroExitCode|2026-11-22T01:22:42|2026-11-22T01:22:45|2026-11-22T01:22:45|n[1-2]|/shared/j1
4|PENDING|PartitionConfig|2026-11-22T01:22:42|N/A|N/A||/shared/j4
5|PENDING|Resources|2026-11-22T01:22:42|2026-11-22T01:24:25|2026-11-22T01:29:25||/shared/j5
3|RUNNING|None|2026-11-22T01:22:42|2026-11-22T01:22:45|2026-11-22T02:22:45|n[1-3]|/shared/j3
"""
PAST = """\
1|FAILED|13:0|2026-11-22T01:22:42|2026-11-22T01:22:45|2026-11-22T01:22:45|n[1-2]|None
2|FAILED|3:0|2026-11-22T01:22:42|2026-11-22T01:22:45|2026-11-22T01:22:45|n3|None
3|CANCELLED by 0|0:0|2026-11-22T01:22:42|2026-11-22T01:22:45|2026-11-22T01:22:47|n[1-3]|None
4|PENDING|0:0|2026-11-22T01:22:42|Unknown|Unknown|None assigned|PartitionConfig
5|FAILED|0:13|2026-11-22T01:22:42|2026-11-22T01:22:46|2026-11-22T01:22:47|n[1-2]|None
"""


def recorded(name):
    return json.loads((RECORDED / f"{name}.json").read_text())


# --- its commands ---------------------------------------------------------------------------------------


def test_the_queue_tells_how_jobs_stand():
    found = slurm_commands.queued(QUEUE)
    assert [(id, one.phase, one.word, one.reason) for id, one in found.items()] == [
        ("1", "ended", "FAILED", ""),
        ("4", "waiting", "PENDING", "PartitionConfig"),
        ("5", "waiting", "PENDING", "Resources"),
        ("3", "running", "RUNNING", ""),
    ]
    assert found["3"].nodes == ("n1", "n2", "n3")
    assert found["3"].started_at == 1795310565.0
    assert found["3"].ended_at is None
    # When it may start is no time at which it started.
    assert found["5"].started_at is None


def test_the_accounting_tells_how_jobs_ended():
    found = slurm_commands.accounted(PAST)
    assert found["2"].exit_status == 3
    assert (found["3"].word, found["3"].exit_status) == ("CANCELLED", None)
    assert found["4"].nodes == ()
    assert found["5"].exit_status is None


def test_the_exit_status_of_a_job_that_has_just_ended_is_in_scontrol():
    ended = slurm_commands.queued(QUEUE)["1"]
    told = slurm_commands.with_exit_status(ended, "JobId=1 JobState=FAILED ExitCode=141:0 RunTime=00:00:00")
    assert told.exit_status == 141
    assert slurm_commands.with_exit_status(ended, "JobId=1 ExitCode=0:9").exit_status is None
    assert slurm_commands.with_exit_status(ended, "nothing of it").exit_status is None


def test_nodes_and_partitions_are_counted():
    nodes = slurm_commands.listed_nodes(
        "n1|mix|1/1/0/2|2|4000\nn2|idle|0/2/0/2|2|4000\nn1|mix|1/1/0/2|2|4000\nn3|down*|0/0/2/2|2|4000\n"
    )
    assert [(one.name, one.state, one.cores_used, one.sockets) for one in nodes] == [
        ("n1", "mixed", 1, 2),
        ("n2", "idle", 0, 2),
        ("n3", "down", 0, 2),
    ]
    assert nodes[0].memory_gb == 4.2
    partitions = slurm_commands.listed_partitions(
        "debug*|3|1:00:00|up\nlong|8|infinite|up\nlong|2|infinite|up\nold|4|1:00|drain\n"
    )
    assert [(one.name, one.nodes, one.time_limit_s, one.default) for one in partitions] == [
        ("debug", 3, 3600, True),
        ("long", 10, None, False),
    ]


def test_what_is_no_answer_gives_nothing():
    for reader in (slurm_commands.queued, slurm_commands.accounted):
        assert reader("\n|\nsqueue: error\n") == {}
    for lister in (slurm_commands.listed_nodes, slurm_commands.listed_partitions):
        assert lister("\n|\n|||||\nsinfo: error\n") == ()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("n[1-3]", ("n1", "n2", "n3")),
        ("n[08-10,12],login", ("n08", "n09", "n10", "n12", "login")),
        ("r[1-2]c[1-2]", ("r1c1", "r1c2", "r2c1", "r2c2")),
        ("", ()),
        ("None assigned", ()),
        ("(null)", ()),
        ("n[", ("n",)),
    ],
)
def test_lists_of_nodes_are_written_out(text, names):
    assert hostlist.expanded(text) == names


def test_a_list_of_nodes_has_an_end():
    assert len(hostlist.expanded("n[0-999999999]")) == hostlist.MOST


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5:00", 300), ("1:00:00", 3600), ("2-01", 176_400), ("1-00:00:00", 86_400), ("30", 1800), ("UNLIMITED", None)],
)
def test_durations_are_read_as_slurm_writes_them(text, seconds):
    assert slurm_words.seconds(text) == seconds


@pytest.mark.parametrize(
    ("words", "used", "state"),
    [
        ("idle", 0, "idle"),
        ("mixed", 1, "mixed"),
        ("allocated", 2, "allocated"),
        ("mixed*", 1, "down"),
        ("DOWN,NOT_RESPONDING", 0, "down"),
        ("idle+drain", 0, "other"),
        ("ALLOCATED,COMPLETING", 2, "allocated"),
    ],
)
def test_states_of_nodes_are_told_in_five_words(words, used, state):
    assert slurm_words.node_state(words, used, 2) == state


def command(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder of programs that the commands find."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def test_a_program_that_does_not_answer_is_given_up(programs):
    command(programs, "squeue", "exec sleep 60")
    with pytest.raises(Silent, match=r"squeue has not answered within 0\.2 s"):
        SlurmCommands(limit_s=0.2).look(["1"])


def test_a_program_that_is_not_there_is_told():
    with pytest.raises(Silent, match="install the commands of Slurm"):
        SlurmCommands()._ask("no-such-program-of-slurm")


def test_what_slurm_refuses_is_not_silence(programs, tmp_path):
    command(
        programs,
        "sbatch",
        'echo "sbatch: error: Batch job submission failed: Invalid partition name specified" >&2; exit 1',
    )
    with pytest.raises(Refused, match="Invalid partition name specified"):
        SlurmCommands().submit(tmp_path, "job.sh")
    command(
        programs,
        "squeue",
        'echo "slurm_load_jobs error: Unable to contact slurm controller (connect failure)" >&2; exit 1',
    )
    with pytest.raises(Silent, match="Unable to contact slurm controller"):
        SlurmCommands().look(["1"])


def test_secrets_of_the_server_do_not_go_into_a_job(programs, tmp_path, monkeypatch):
    monkeypatch.setenv("REAF_TOKEN", "a secret")
    command(programs, "sbatch", f'env >"{tmp_path}/seen"; echo "$@" >"{tmp_path}/words"; echo "17;mini"')
    assert SlurmCommands().submit(tmp_path, "job.sh") == "17"
    assert "a secret" not in (tmp_path / "seen").read_text()
    assert (tmp_path / "words").read_text().split() == ["--parsable", f"--chdir={tmp_path}", f"{tmp_path}/job.sh"]


def test_a_site_without_accounting_is_asked_for_it_once(programs, tmp_path):
    command(programs, "squeue", 'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1')
    command(programs, "sacct", f'echo x >>"{tmp_path}/asked"; echo "Slurm accounting storage is disabled" >&2; exit 1')
    slurm = SlurmCommands()
    assert slurm.look(["7"]) == {}
    assert slurm.look(["7"]) == {}
    assert (tmp_path / "asked").read_text() == "x\n"


# --- its REST service -----------------------------------------------------------------------------------


def test_replies_of_v0_0_38_are_understood():
    jobs = {str(row["job_id"]): slurm_replies.present_job(row) for row in recorded("jobs")["jobs"]}
    assert (jobs["1"].word, jobs["1"].exit_status, jobs["1"].nodes) == ("FAILED", 141, ("n1", "n2"))
    assert (jobs["3"].phase, jobs["3"].nodes) == ("running", ("n1", "n2", "n3"))
    assert (jobs["4"].phase, jobs["4"].reason, jobs["4"].started_at) == ("waiting", "PartitionConfig", None)
    (node, *_) = [slurm_replies.node(row) for row in recorded("nodes")["nodes"]]
    assert (node.name, node.state, node.cores, node.cores_used, node.sockets) == ("n1", "mixed", 2, 1, 2)
    (partition,) = [slurm_replies.partition(row) for row in recorded("partitions")["partitions"]]
    assert (partition.name, partition.nodes, partition.time_limit_s, partition.default) == ("debug", 3, 3600, True)
    assert slurm_replies.accounts(recorded("associations"), "root") == ("sim", "root")
    assert slurm_replies.errors_in(recorded("submitted_with_complaint")).startswith("Requested partition configuration")


def test_replies_of_later_versions_are_understood():
    """Numbers that may be infinite, states that are lists: as the documentation of v0.0.40 to v0.0.42 has them."""

    def number(value):
        return {"set": True, "infinite": False, "number": value}

    never = {"set": False, "infinite": False, "number": 0}
    job = slurm_replies.present_job(
        {
            "job_state": ["RUNNING", "COMPLETING"],
            "nodes": "n[1-2]",
            "submit_time": number(10),
            "start_time": number(12),
            "end_time": never,
            "exit_code": {"status": ["PENDING"], "return_code": never, "signal": {"id": never, "name": ""}},
        }
    )
    assert (job.phase, job.word, job.started_at, job.exit_status) == ("running", "RUNNING", 12.0, None)
    ended = {"job_state": ["FAILED"], "exit_code": {"return_code": number(22), "signal": {"id": never}}}
    assert slurm_replies.present_job(ended).exit_status == 22
    killed = {"job_state": ["FAILED"], "exit_code": {"return_code": never, "signal": {"id": number(9)}}}
    assert slurm_replies.present_job(killed).exit_status is None
    past = {
        "state": {"current": ["TIMEOUT"]},
        "time": {"start": 12, "end": 20},
        "exit_code": {"return_code": number(0)},
    }
    assert (slurm_replies.past_job(past).word, slurm_replies.past_job(past).ended_at) == ("TIMEOUT", 20.0)
    node = {"name": "n1", "state": ["IDLE", "DRAIN"], "cpus": 4, "alloc_cpus": 0, "real_memory": 1000, "sockets": 1}
    assert slurm_replies.node(node).state == "other"
    row = {"name": "long", "partition": {"state": ["UP"]}, "nodes": {"total": 9}, "maximums": {"time": number(90)}}
    partition = slurm_replies.partition(row)
    assert (partition.nodes, partition.time_limit_s) == (9, 5400)
    assert slurm_replies.partition(row | {"partition": {"state": ["DOWN"]}}) is None


SCRIPT = """#!/bin/bash
#SBATCH --job-name=reaf-j4
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=2
#SBATCH --time=0-01:30:30
#SBATCH --mem=2G
#SBATCH --exclusive
#SBATCH --signal=B:USR1@120
#SBATCH --no-requeue
#SBATCH --no-kill
echo ready
"""


def test_the_lines_of_a_script_are_fields_of_v0_0_38():
    body = slurm_options.submission(SCRIPT, {"PATH": "/bin"}, 38)
    assert body == {
        "script": SCRIPT,
        "job": {
            "environment": {"PATH": "/bin"},
            "name": "reaf-j4",
            "nodes": [3, 3],
            "tasks_per_node": 2,
            "time_limit": 91,
            "memory_per_node": 2048,
            "exclusive": "exclusive",
            "no_requeue": True,
            "no_kill": "set",
            "tasks": 6,
        },
    }


def test_the_lines_of_a_script_are_fields_of_v0_0_41():
    body = slurm_options.submission(SCRIPT, {"PATH": "/bin"}, 41)
    assert set(body) == {"job"}
    assert body["job"]["script"] == SCRIPT
    assert body["job"]["environment"] == ["PATH=/bin"]
    assert body["job"]["time_limit"] == {"set": True, "infinite": False, "number": 91}
    assert (body["job"]["kill_warning_signal"], body["job"]["kill_warning_flags"]) == ("USR1", ["BATCH_JOB"])


def test_an_option_without_a_field_is_refused():
    with pytest.raises(Exception, match="slurmrestd has no field for the option --burst=x"):
        slurm_options.submission("#!/bin/bash\n#SBATCH --burst=x\n", {}, 38)


class Rest(http.server.BaseHTTPRequestHandler):
    """Answers as slurmrestd does; `asked` are the paths, `replies` bodies by path, with their status."""

    asked: ClassVar[list[str]] = []
    replies: ClassVar[dict[str, tuple[int, object]]] = {}

    def log_message(self, format, *words):
        """Nobody reads it."""

    def do_GET(self):
        self.asked.append(self.path)
        status, body = self.replies.get(self.path.split("?")[0], (404, {"errors": [{"error": "no such path"}]}))
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def rest():
    Rest.asked, Rest.replies = [], {}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Rest)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def token(tmp_path, text):
    path = tmp_path / "slurm.jwt"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def slurm_rest(url, tmp_path, text="SLURM_JWT=abc.def.ghi"):
    return SlurmRest(RestSettings(url=url, user="root", token_file=token(tmp_path, text)), limit_s=2.0)


def paths_of(*versions):
    return {"paths": {f"/slurm/v0.0.{version}/job/submit": {} for version in versions}}


def test_the_newest_version_that_both_speak_is_spoken(rest, tmp_path):
    Rest.replies = {"/openapi": (200, paths_of(36, 38, 40, 41, 99)), "/slurm/v0.0.41/nodes": (200, recorded("nodes"))}
    assert [node.name for node in slurm_rest(rest, tmp_path).nodes()] == ["n1", "n2", "n3"]
    assert Rest.asked == ["/openapi", "/slurm/v0.0.41/nodes"]


def test_a_service_of_other_times_is_refused(rest, tmp_path):
    Rest.replies = {"/openapi": (200, paths_of(35, 36))}
    with pytest.raises(Refused, match=r"speaks v0\.0\.35, v0\.0\.36, but must speak one of v0\.0\.38"):
        slurm_rest(rest, tmp_path).nodes()


def test_a_token_that_has_run_out_is_told_before_it_is_sent(rest, tmp_path):
    said = base64.urlsafe_b64encode(b'{"exp": 1700000000}').decode().rstrip("=")
    with pytest.raises(Refused, match=r"slurm\.jwt ran out at 2023-11-14T22:13:20"):
        slurm_rest(rest, tmp_path, f"e30.{said}.x").nodes()
    assert Rest.asked == []


def test_refusals_silence_and_nonsense_are_told_apart(rest, tmp_path):
    asked = slurm_rest(rest, tmp_path)
    Rest.replies = {"/openapi": (401, {"errors": []})}
    with pytest.raises(Refused, match=r"does not accept the token in .*slurm\.jwt"):
        asked.nodes()
    Rest.replies = {"/openapi": (200, paths_of(38)), "/slurm/v0.0.38/nodes": (500, "Authentication failure")}
    with pytest.raises(Silent, match="status 500"):
        asked.nodes()
    lost = {"errors": [{"error": "Zero Bytes were transmitted or received"}]}
    Rest.replies["/slurm/v0.0.38/nodes"] = (500, lost)
    with pytest.raises(Silent, match="is our token still good"):
        asked.nodes()
    with pytest.raises(Silent, match="cannot be reached"):
        slurm_rest("http://127.0.0.1:1", tmp_path).nodes()


def test_a_job_is_looked_for_in_the_accounting_too(rest, tmp_path):
    unknown = {"errors": [{"error": "Invalid job id specified", "error_number": 2017}], "jobs": []}
    past = {"jobs": [{"state": {"current": "COMPLETED"}, "time": {"end": 5}, "exit_code": {"return_code": 0}}]}
    Rest.replies = {
        "/openapi": (200, paths_of(38)),
        "/slurm/v0.0.38/job/7": (500, unknown),
        "/slurmdb/v0.0.38/job/7": (200, past),
        "/slurm/v0.0.38/job/8": (500, unknown),
        "/slurmdb/v0.0.38/job/8": (500, {"errors": [{"error": "Slurm accounting storage is disabled"}]}),
    }
    found = slurm_rest(rest, tmp_path).look(["7", "8"])
    assert set(found) == {"7"}
    assert (found["7"].word, found["7"].exit_status) == ("COMPLETED", 0)
