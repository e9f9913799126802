"""The published Virtual Coach client, unmodified: login, catalogue, storage, files of runs, models."""

import io
import json
import threading
import zipfile
from pathlib import Path

import pytest

from tests.compat.coach import attempt, run
from tests.gateway.doors import SMALL, Door, zip_of
from tests.gateway.runs import LIMB, Run, uploaded

STAMP = "2026-01-02T03-04-05"


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    with Door(tmp_path_factory.mktemp("home")) as door:
        yield door


@pytest.fixture
def mine(door):
    """An experiment of Otto's."""
    answer = door.otto.post("/experiments/upload", params={"name": "mine"}, content=zip_of(SMALL))
    assert answer.status_code == 201, answer.text
    yield answer.json()["id"]
    door.otto.delete(f"/experiments/{answer.json()['id']}")


def rows(printed):
    """The texts in the cells of the tables that were printed, row by row."""
    lines = [line for line in printed.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def first_cells(said):
    return [row[0] for row in rows(said.printed) if row[0]]


class TestLogin:
    def test_the_password_is_the_token(self, door):
        assert "Ready." in run(door, "").logged

    @pytest.mark.parametrize("password", ["wrong", "ä" * 43, ""])
    def test_a_wrong_one_is_refused(self, door, password):
        said = attempt(door, "print('in')", password=password or "x")
        assert said.status == 1
        assert "Status Code: 401" in said.logged

    def test_somebody_elses_token_is_refused(self, door):
        said = attempt(door, "print('in')", "olga", password=door.secrets["otto"])
        assert "Status Code: 401" in said.logged

    def test_a_login_that_is_not_understood_is_refused(self, door):
        for body in (b"", b"{}", b"[]", b'{"user": "otto"}', b'{"user": 1, "password": []}', b"\xff"):
            answer = door.nobody.post(f"{door.url}/proxy/authentication/authenticate", content=body)
            assert answer.status_code in (400, 401, 422), body

    def test_the_answer_is_the_bare_token(self, door):
        body = {"user": "vera", "password": door.secrets["vera"]}
        answer = door.nobody.post(f"{door.url}/proxy/authentication/authenticate", json=body)
        assert (answer.status_code, answer.text) == (200, door.secrets["vera"])
        assert answer.headers["content-type"].startswith("text/plain")

    def test_without_tokens_anybody_is_let_in(self, tmp_path):
        with Door(tmp_path / "home", tokens=False) as door:
            said = run(door, "vc.print_templates()", "anybody", password="at all")
            assert "mouse_reach" in first_cells(said)


class TestCatalogue:
    def test_templates_are_printed(self, door):
        said = run(door, "vc.print_templates()\nvc.print_templates(dev=True)")
        assert {"mouse_reach", "rodent_brain"} <= set(first_cells(said))
        assert "(production)" in said.printed

    def test_a_template_under_development_is_shown_on_request_only(self, door, tmp_path, monkeypatch):
        folder = tmp_path / "templates" / "draft"
        folder.mkdir(parents=True)
        toml = SMALL["experiment.toml"].replace("steps = 10", 'steps = 10\ntags = ["Development"]')
        (folder / "experiment.toml").write_text(toml)
        monkeypatch.setattr(door.gateway.templates, "_root", folder.parent)
        assert "draft" not in run(door, "vc.print_templates()").printed
        assert "draft" in run(door, "vc.print_templates(True)").printed

    def test_a_viewer_sees_everything(self, door, mine):
        said = run(door, "vc.print_cloned_experiments()\nvc.print_available_servers()", "vera")
        assert mine in first_cells(said)
        assert "localhost" in said.printed

    def test_an_owner_sees_what_is_hers(self, door, mine):
        assert mine in first_cells(run(door, "vc.print_cloned_experiments()"))
        assert mine not in first_cells(run(door, "vc.print_cloned_experiments()", "olga"))

    def test_a_filter_leaves_some(self, door, mine):
        script = """
        def named(words):
            found = requests.get(URL + "/proxy/storage/experiments", params={"filter": words},
                                 headers={"Authorization": "Bearer " + PASSWORD})
            return [one["name"] for one in found.json()]
        tell(some=named("MINE"), none=named("nothing like it"), by_title=named("A small"))
        """
        found = run(door, script).found
        assert mine in found["some"]
        assert mine in found["by_title"]
        assert found["none"] == []

    def test_the_server_is_described_under_the_address_that_was_asked(self, door):
        headers = {"Authorization": f"Bearer {door.secrets['vera']}"}
        record = door.nobody.get(f"{door.url}/proxy/server/localhost", headers=headers).json()
        assert record["gzweb"]["nrp-services"] == f"{door.url}/coach/localhost"
        assert record["rosbridge"]["websocket"] == f"ws://127.0.0.1:{door.port}/rosbridge/localhost"
        assert record["serverJobLocation"] == "local"
        before = {
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "nrp.example.org",
            "X-Forwarded-Prefix": "/lab",
        }
        record = door.nobody.get(f"{door.url}/proxy/server/localhost", headers=headers | before).json()
        assert record["gzweb"]["nrp-services"] == "https://nrp.example.org/lab/coach/localhost"
        assert record["rosbridge"]["websocket"] == "wss://nrp.example.org/lab/rosbridge/localhost"
        odd = {"X-Forwarded-Proto": "file", "X-Forwarded-Host": "a b/@c", "X-Forwarded-Prefix": "//evil"}
        record = door.nobody.get(f"{door.url}/proxy/server/localhost", headers=headers | odd).json()
        assert record["gzweb"]["nrp-services"] == f"{door.url}/coach/localhost"
        assert door.nobody.get(f"{door.url}/proxy/server/moon", headers=headers).status_code == 404

    def test_each_place_is_a_server(self, tmp_path):
        with Door(tmp_path / "home", places=3) as door:
            said = run(door, "tell(servers=vc.print_available_servers())")
            assert said.found["servers"] == ["localhost", "localhost-2", "localhost-3"]


class TestExperiments:
    def test_a_template_is_cloned_under_the_id_that_scripts_know_beforehand(self, door):
        script = """
        first = vc.clone_experiment_to_storage("braitenberg_husky")
        second = vc.clone_experiment_to_storage("braitenberg_husky")
        third = json.loads(vc.clone_cloned_experiment(first))
        vc.print_cloned_experiments()
        for one in (first, second, third["clonedExp"]):
            vc.delete_cloned_experiment(one)
        tell(first=first, second=second, third=third)
        vc.print_cloned_experiments()
        """
        said = run(door, script)
        assert said.found == {
            "first": "braitenberg_husky_0",
            "second": "braitenberg_husky_1",
            "third": {"clonedExp": "braitenberg_husky_0_0", "originalExp": "braitenberg_husky_0"},
        }
        assert first_cells(said).count("braitenberg_husky_1") == 1

    @pytest.mark.parametrize(
        "call",
        [
            "vc.clone_experiment_to_storage('nothing')",
            "vc.clone_cloned_experiment('nothing')",
            "vc.delete_cloned_experiment('nothing')",
            "vc.launch_experiment('nothing')",
            "vc.get_last_run_file('nothing', 'csv', 'a.csv')",
            "vc.set_experiment_file('nothing', 'a.txt', 'b')",
            "vc.set_experiment_file('../..', 'a.txt', 'b')",
        ],
    )
    def test_what_is_not_there_is_refused(self, door, call):
        before = door.tree()
        said = attempt(door, call)
        assert said.status == 1
        assert "Internal" not in said.logged
        assert door.tree() == before

    def test_what_belongs_to_somebody_else_stays_as_it_is(self, door, mine):
        before = door.tree()
        script = f"""
        headers = {{"Authorization": "Bearer " + PASSWORD}}
        at = URL + "/proxy/"
        tell(
            deleted=requests.delete(at + "storage/{mine}", headers=headers).status_code,
            written=requests.post(at + "storage/{mine}/a.txt?byname=true", data="b", headers=headers).status_code,
            removed=requests.delete(at + "storage/{mine}/transfer.py?byname=true", headers=headers).status_code,
            functions=requests.put(at + "experiment/{mine}/transferFunctions", json={{"transferFunctions": []}},
                                   headers=headers).status_code,
            machines=requests.put(at + "experiment/{mine}/stateMachines", json={{"stateMachines": {{"a": "b"}}}},
                                  headers=headers).status_code,
            brain=requests.put(at + "experiment/{mine}/brain", json={{"brain": "x = 1", "populations": {{}}}},
                               headers=headers).status_code,
        )
        """
        assert set(run(door, script, "olga").found.values()) == {403}
        assert set(run(door, script, "vera").found.values()) == {403}
        assert door.tree() == before

    def test_a_folder_is_imported_under_its_name(self, door, tmp_path):
        folder = tmp_path / "limb_study"
        folder.mkdir()
        for name, text in (LIMB | {".git/config": "x", "__pycache__/a.pyc": "x", "recordings/old.txt": "x"}).items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        script = """
        import ast
        answer = vc.import_experiment(path)
        # As the published benchmark runner reads it.
        name = ast.literal_eval(answer.content.decode("UTF-8"))["destFolderName"]
        again = ast.literal_eval(vc.import_experiment(path).content.decode("UTF-8"))["destFolderName"]
        vc.print_cloned_experiments()
        files = requests.get(URL + "/proxy/storage/" + name, headers={"Authorization": "Bearer " + PASSWORD}).json()
        vc.delete_cloned_experiment(name)
        vc.delete_cloned_experiment(again)
        tell(name=name, again=again, status=answer.status_code, files=sorted(file["name"] for file in files))
        """
        said = run(door, script, path=str(folder))
        expected = {"name": "limb_study_0", "again": "limb_study_1", "status": 200, "files": sorted(LIMB)}
        assert said.found == expected
        assert {"limb_study_0", "limb_study_1"} <= set(first_cells(said))

    @pytest.mark.parametrize(("top", "expected"), [("", "small_0"), ("deep study/", "deep_study_0")])
    def test_a_zip_file_is_imported_with_a_folder_at_its_top_or_none(self, door, tmp_path, top, expected):
        path = tmp_path / "some.zip"
        path.write_bytes(zip_of({top + name: text for name, text in SMALL.items()}))
        script = """
        name = vc.import_experiment(path).json()["destFolderName"]
        vc.delete_cloned_experiment(name)
        tell(name=name)
        """
        assert run(door, script, path=str(path)).found["name"] == expected

    @pytest.mark.parametrize("content", [b"no zip at all", b"", zip_of({"a.txt": "b"}), zip_of({"../a.txt": "b"})])
    def test_what_is_no_experiment_is_refused(self, door, tmp_path, content):
        before = door.tree()
        path = tmp_path / "some.zip"
        path.write_bytes(content)
        said = attempt(door, "vc.import_experiment(path)", path=str(path))
        assert "Error when importing experiment: 422" in said.logged
        assert door.tree() == before


class TestRunning:
    def test_what_runs_is_printed_and_cannot_be_deleted_before_it_has_ended(self, door):
        experiment = uploaded(door.otto)
        with Run(door.otto, experiment) as simulation:
            simulation.built()
            said = run(door, "vc.print_running_experiments(cloned=True)\ntell(free=vc.print_available_servers())")
            (row,) = [row for row in rows(said.printed) if row[0] == experiment]
            assert row[1] == "local_user"
            assert row[3:] == ["0:33:20", "paused", "localhost"]
            assert said.found["free"] == ["No available servers."]
            run(door, f"vc.delete_cloned_experiment({experiment!r})")
            assert experiment in door.storage.ids()
            simulation.put("/state", state="stopped")
            run(door, f"vc.delete_cloned_experiment({experiment!r})")
            assert experiment not in door.storage.ids()
        assert run(door, "tell(free=vc.print_available_servers())").found["free"] == ["localhost"]

    def test_of_a_template_those_clones_are_printed_that_run(self, door):
        made = door.otto.post("/experiments", json={"source": "mouse_reach"}).json()["id"]
        folder = door.storage.folder(made)
        for name, text in LIMB.items():  # a limb is built sooner than a brain
            (folder / name).write_text(text)
        with Run(door.otto, made) as simulation:
            simulation.built()
            said = run(door, "vc.print_running_experiments()", "vera")
            assert [row[4] for row in rows(said.printed) if row[0] == "mouse_reach"] == ["paused"]


class TestFiles:
    def test_a_file_is_written_and_read(self, door, mine):
        script = """
        answer = json.loads(vc.set_experiment_file(mine, "notes/first.txt", "Größe → π\\n"))
        headers = {"Authorization": "Bearer " + PASSWORD}
        at = URL + "/proxy/storage/" + mine
        listed = {one["name"]: one["uuid"] for one in requests.get(at, headers=headers).json()}
        by_name = requests.get(at + "/notes/first.txt?byname=true", headers=headers)
        by_uuid = requests.get(at + "/" + answer["uuid"], headers=headers)
        gone = requests.delete(at + "/" + answer["uuid"], headers=headers)
        after = requests.get(at + "/notes/first.txt?byname=true", headers=headers)
        tell(names=sorted(listed), same=listed["notes/first.txt"] == answer["uuid"], by_name=by_name.text,
             by_uuid=by_uuid.text, gone=gone.status_code, after=after.status_code)
        """
        assert run(door, script, mine=mine).found == {
            "names": ["experiment.toml", "notes/first.txt", "transfer.py"],
            "same": True,
            "by_name": "Größe → π\n",
            "by_uuid": "Größe → π\n",
            "gone": 200,
            "after": 404,
        }

    def test_bytes_come_back_as_they_were(self, door, mine):
        script = """
        headers = {"Authorization": "Bearer " + PASSWORD}
        at = URL + "/proxy/storage/" + mine + "/data/mesh.stl?byname=true"
        put = requests.post(at, data=bytes(range(256)), headers=headers)
        tell(status=put.status_code, same=requests.get(at, headers=headers).content == bytes(range(256)))
        """
        assert run(door, script, mine=mine).found == {"status": 200, "same": True}

    @pytest.mark.parametrize(
        "name", ["../evil.txt", "recordings/x/summary.json", "recordings/a/b.txt", ".hidden", "a:b"]
    )
    def test_a_file_that_may_not_be_is_refused(self, door, mine, name):
        before = door.tree()
        said = attempt(door, "vc.set_experiment_file(mine, name, 'x')", mine=mine, name=name)
        assert "Error when setting file" in said.logged
        assert door.tree() == before

    def test_a_note_on_a_recording_is_kept_with_it(self, door, mine):
        script = """
        vc.set_experiment_file(mine, "recordings/first.txt", "what it was for")
        headers = {"Authorization": "Bearer " + PASSWORD}
        at = URL + "/proxy/storage/" + mine
        listed = {one["name"]: one["uuid"] for one in requests.get(at, headers=headers).json()}
        tell(text=requests.get(at + "/recordings/first.txt?byname=true", headers=headers).text,
             keyed=requests.get(at + "/" + listed["recordings/first.txt"], headers=headers).text)
        """
        assert set(run(door, script, mine=mine).found.values()) == {"what it was for"}
        assert door.otto.get(f"/experiments/{mine}/recordings").json() == []


def recorded(door, mine, name, files):
    """A run folder with these files, as if a run had left it."""
    folder = door.home / "experiments" / mine / "recordings" / name
    for path, text in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


PROFILE = (
    "step,t_s,cle_step,brain_step,brain_refresh,robot_step,robot_refresh,transfer\r\n"
    "0,0.02,0.5,0.1,0.2,0.3,0.4,0.01\r\n"
    "1,0.04,0.6,0.11,0.21,0.31,0.41,0.01\r\n"
)


class TestRuns:
    @pytest.fixture
    def runs(self, door, mine):
        recorded(
            door, mine, STAMP, {"csv/joints.csv": "t\n1\n", "csv/all_spikes.csv": "id\n7\n", "profile.csv": PROFILE}
        )
        for number in (2, 10):
            recorded(door, mine, f"{STAMP}-{number}", {"csv/joints.csv": f"t\n{number}\n", "profile.csv": PROFILE})
        recorded(door, mine, "2026-01-02T03-04-06", {"export/sinks.csv": "a\n", "export/run.h5": "no table"})
        return mine

    def test_runs_are_listed_in_the_order_of_time(self, door, runs):
        said = run(door, "vc.print_experiment_runs_files(mine, 'csv')", mine=runs)
        assert [row[:2] for row in rows(said.printed)[1:]] == [
            ["0", f"csv_records_{STAMP}"],
            ["1", f"csv_records_{STAMP}_0002"],
            ["2", f"csv_records_{STAMP}_0010"],
            ["3", "csv_records_2026-01-02T03-04-06"],
        ]

    def test_the_files_of_a_run_are_listed_and_fetched(self, door, runs):
        script = """
        vc.print_experiment_run_files(mine, "csv", 0)
        tell(first=vc.get_experiment_run_file(mine, "csv", 0, "joints.csv").decode(),
             tenth=vc.get_experiment_run_file(mine, "csv", 2, "joints.csv").decode(),
             last=vc.get_last_run_file(mine, "csv", "sinks.csv").decode())
        vc.print_last_run_files(mine, "csv")
        """
        said = run(door, script, mine=runs)
        assert said.found == {"first": "t\n1\n", "tenth": "t\n10\n", "last": "a\n"}
        assert {"joints.csv", "all_spikes.csv", "sinks.csv"} <= set(first_cells(said))
        assert "run.h5" not in said.printed

    def test_what_is_written_while_the_run_goes_on_is_there_at_once(self, door, runs):
        said = run(door, "tell(now=len(vc.get_experiment_run_file(mine, 'csv', 0, 'joints.csv')))", mine=runs)
        recorded(door, runs, STAMP, {"csv/joints.csv": "t\n1\n2\n"})
        later = run(door, "tell(now=len(vc.get_experiment_run_file(mine, 'csv', 0, 'joints.csv')))", mine=runs)
        assert (said.found["now"], later.found["now"]) == (4, 6)

    def test_a_file_that_grows_while_it_is_fetched_comes_as_far_as_it_was(self, door, runs):
        path = door.home / "experiments" / runs / "recordings" / STAMP / "csv" / "joints.csv"
        over = threading.Event()

        def write():
            with path.open("a") as file:
                while not over.wait(0.0005):
                    file.write("0.25,0.5\n" * 50)
                    file.flush()

        writing = threading.Thread(target=write)
        writing.start()
        try:
            script = """
            sizes = [len(vc.get_experiment_run_file(mine, "csv", 0, "joints.csv")) for _ in range(40)]
            tell(sizes=sizes)
            """
            sizes = run(door, script, mine=runs).found["sizes"]
        finally:
            over.set()
            writing.join()
        assert sizes == sorted(sizes)
        assert sizes[-1] > sizes[0]

    def test_the_profile_has_the_published_name_and_columns(self, door, runs):
        script = """
        vc.print_experiment_runs_files(mine, "profiler")
        vc.print_last_run_files(mine, "profiler")
        tell(text=vc.get_last_run_file(mine, "profiler", "cle_time_profile_0.csv").decode())
        """
        said = run(door, script, mine=runs)
        assert said.found["text"].splitlines()[:2] == [
            "robot_step,brain_step,brain_refresh,cle_step",
            "0.3,0.1,0.2,0.5",
        ]
        assert "cle_time_profile_0.csv" in first_cells(said)

    def test_a_run_or_a_file_that_is_not_there_is_refused(self, door, runs):
        for call in (
            "vc.print_experiment_run_files(mine, 'csv', 9)",
            "vc.get_experiment_run_file(mine, 'csv', 0, 'nothing.csv')",
            "vc.get_last_run_file(mine, 'csv', 'nothing.csv')",
            "vc.print_experiment_runs_files(mine, 'secrets')",
            "vc.print_experiment_runs_files('nothing', 'csv')",
        ):
            assert attempt(door, call, mine=runs).status == 1, call

    def test_a_run_without_files_is_none(self, door, mine):
        said = attempt(
            door, "vc.print_experiment_runs_files(mine, 'csv')\nvc.print_last_run_files(mine, 'csv')", mine=mine
        )
        assert "Could not find any run" in said.logged


class TestSaving:
    def test_transfer_functions_are_written_into_the_file_of_the_experiment(self, door, mine):
        source = SMALL["transfer.py"].split("\n\n\n")[1].replace("return 0.5", "return 0.75")
        assert self.put(door, mine, "transferFunctions", {"experiment": mine, "transferFunctions": [source]}) == 200
        text = door.otto.get(f"/experiments/{mine}/files/transfer.py").text
        assert "return 0.75" in text
        assert text.startswith("from reafference import transfer")

    def test_published_functions_are_written_into_a_file_each(self, door):
        script = """
        name = vc.import_experiment(folder).json()["destFolderName"]
        headers = {"Authorization": "Bearer " + PASSWORD}

        def text_of(path):
            answer = requests.get(URL + "/proxy/storage/" + name + "/" + path + "?byname=true", headers=headers)
            return answer.text

        def save(sources):
            at, body = URL + "/proxy/experiment/" + name + "/transferFunctions", {"transferFunctions": sources}
            return requests.put(at, json=body, headers=headers).status_code

        before = {path: text_of(path) for path in ["look.py", "drive.py", "spin_forever.py", "experiment.toml"]}
        inline = text_of("transfer_functions/note_track.py")
        sources = [before[path] for path in before if path.endswith(".py")] + [inline]
        same = save(sources)
        unchanged = before == {path: text_of(path) for path in before}
        changed = save([source.replace("20.0 *", "21.0 *") for source in sources])
        now = text_of("drive.py")
        vc.delete_cloned_experiment(name)
        tell(same=same, unchanged=unchanged, changed=changed, now=now)
        """
        folder = Path(__file__).parent / "published" / "husky_search"
        found = run(door, script, folder=str(folder)).found
        assert (found["same"], found["unchanged"], found["changed"]) == (200, True, 200)
        assert found["now"] == (folder / "drive.py").read_text().replace("20.0 *", "21.0 *")

    def test_what_python_cannot_read_is_not_written(self, door, mine):
        before = door.tree()
        for sources in (["@transfer\ndef push(t:\n  return 1\n"], ["no = function"], [3], "text"):
            assert self.put(door, mine, "transferFunctions", {"transferFunctions": sources}) == 422
        assert door.tree() == before

    def test_state_machines_are_files(self, door, mine):
        machines = {"drive": "import smach\n", "rest": "pass\n"}
        assert self.put(door, mine, "stateMachines", {"experiment": mine, "stateMachines": machines}) == 200
        assert door.otto.get(f"/experiments/{mine}/files/state_machines/drive.py").text == "import smach\n"
        before = door.tree()
        for name in ("../evil", "", "a/b", ".hidden"):
            assert self.put(door, mine, "stateMachines", {"stateMachines": {"fine": "1", name: "x"}}) == 422
        assert door.tree() == before

    def test_a_brain_is_written_with_its_populations(self, door, mine):
        script = 'import nest\n\ncircuit = nest.Create("iaf_cond_alpha", 8)\n'
        toml = SMALL["experiment.toml"] + '\n[brain]\nscript = "net.py"\n\n[brain.populations]\nall = "circuit"\n'
        door.otto.put(f"/experiments/{mine}/files/experiment.toml", content=toml)
        populations = {"sensors": {"from": 0, "to": 5, "step": 1}, "one": 7, "some": [1, 3]}
        assert self.put(door, mine, "brain", {"brain": script, "populations": populations}) == 200
        assert door.otto.get(f"/experiments/{mine}/files/net.py").text == script
        written = door.otto.get(f"/experiments/{mine}/files/experiment.toml").text
        assert 'sensors = "circuit[0:5]"' in written
        assert 'one = "circuit[7]"' in written
        assert 'some = "circuit[1] + circuit[3]"' in written
        before = door.tree()
        for wrong in ({"a": {"from": -1, "to": 2}}, {"a": [1.5]}, {"a": None}):
            assert self.put(door, mine, "brain", {"brain": "other = 1\n", "populations": wrong}) == 400
        assert door.tree() == before

    @staticmethod
    def put(door, experiment, what, body):
        headers = {"Authorization": f"Bearer {door.secrets['otto']}"}
        return door.nobody.put(
            f"{door.url}/proxy/experiment/{experiment}/{what}", json=body, headers=headers
        ).status_code


CONFIG = "<model><name>A jointed arm</name><description>Two joints,\n and a hand</description></model>"
ARM = {"model.config": CONFIG, "model.sdf": "<sdf/>"}


PENDULUM = """<sdf version="1.6"><model name="pendulum">
<link name="base"/><link name="rod"><pose>0 0 0.5 0 0 0</pose></link>
<joint name="hinge" type="revolute"><parent>base</parent><child>rod</child><axis><xyz>0 1 0</xyz></axis></joint>
</model></sdf>"""
SWING = {
    "experiment_configuration.exc": "<ExD><name>Swing</name><timeout>1</timeout><bibiConf src='swing.bibi'/></ExD>",
    "swing.bibi": "<bibi><bodyModel assetPath='pendulum' customAsset='true'>model.sdf</bodyModel></bibi>",
}


class TestModels:
    @pytest.mark.parametrize("kind", ["robots", "brains", "environments"])
    def test_a_model_is_imported_listed_and_deleted(self, door, tmp_path, kind):
        folder = tmp_path / "arm"
        folder.mkdir()
        for name, text in ARM.items():
            (folder / name).write_text(text)
        zipped = tmp_path / "hand.zip"
        zipped.write_bytes(zip_of(ARM))
        script = """
        tell(status=[vc.import_model(folder, kind).status_code, vc.import_model(zipped, kind).status_code])
        vc.print_available_models(kind)
        vc.delete_model(kind, "arm")
        vc.delete_model(kind, "hand")
        vc.print_available_models(kind)
        """
        said = run(door, script, folder=str(folder), zipped=str(zipped), kind=kind)
        assert said.found["status"] == [200, 200]
        (row,) = [row for row in rows(said.printed) if row[0] == "arm"]
        assert row[1:4] == ["A jointed arm", "False", "True"]
        assert first_cells(said).count("hand") == 1

    def test_shipped_models_are_listed_and_stay(self, door):
        said = attempt(door, "vc.print_available_models('robots')\nvc.delete_model('robots', 'husky_room')")
        (row,) = [row for row in rows(said.printed) if row[0] == "husky_room"]
        assert row[3] == "False"
        assert "husky_room" in first_cells(run(door, "vc.print_available_models('robots')"))

    def test_the_models_of_one_person(self, door, tmp_path):
        path = tmp_path / "ottos.zip"
        path.write_bytes(zip_of(ARM))
        run(door, "vc.import_model(path, 'robots')", path=str(path))
        shown = "vc.print_available_models('robots', {user!r})"
        assert "ottos" in first_cells(run(door, shown.format(user="otto"), "olga"))
        assert "husky_room" not in first_cells(run(door, shown.format(user="otto")))
        assert "ottos" not in first_cells(run(door, shown.format(user="olga")))
        before = door.tree()
        attempt(door, "vc.delete_model('robots', 'ottos')", "olga")
        attempt(door, "vc.import_model(path, 'robots')", "olga", path=str(path))
        attempt(door, "vc.import_model(path, 'robots')", "vera", path=str(path))
        assert "409" in attempt(door, "vc.import_model(path, 'robots')", path=str(path)).logged
        assert door.tree() == before
        headers = {"Authorization": f"Bearer {door.secrets['vera']}"}
        answer = door.nobody.get(f"{door.url}/proxy/storage/models/robots/ottos", headers=headers)
        with zipfile.ZipFile(io.BytesIO(answer.content)) as zipped:
            assert zipped.read("ottos/model.sdf") == b"<sdf/>"
        run(door, "vc.delete_model('robots', 'ottos')", "ada")

    def test_a_published_experiment_gets_the_model_that_it_names(self, door, tmp_path):
        model, experiment = tmp_path / "pendulum", tmp_path / "swing"
        for folder, files in ((model, {"model.sdf": PENDULUM}), (experiment, SWING)):
            folder.mkdir()
            for name, text in files.items():
                (folder / name).write_text(text)
        script = """
        try:
            vc.import_experiment(experiment)
        except Exception as error:
            tell(before=str(error))
        vc.import_model(model, "robots")
        name = vc.import_experiment(experiment).json()["destFolderName"]
        vc.delete_model("robots", "pendulum")
        at = URL + "/proxy/storage/" + name
        files = requests.get(at, headers={"Authorization": "Bearer " + PASSWORD}).json()
        vc.delete_cloned_experiment(name)
        tell(files=[file["name"] for file in files])
        """
        found = run(door, script, model=str(model), experiment=str(experiment)).found
        assert "422" in found["before"]
        assert "pendulum/model.sdf" in found["files"]

    @pytest.mark.parametrize("content", [b"no zip", zip_of({}), zip_of({"../x": "y"})])
    def test_what_is_no_model_is_refused(self, door, tmp_path, content):
        before = door.tree()
        path = tmp_path / "bad.zip"
        path.write_bytes(content)
        assert "422" in attempt(door, "vc.import_model(path, 'brains')", path=str(path)).logged
        assert door.tree() == before

    def test_kinds_and_models_that_there_are_not(self, door):
        headers = {"Authorization": f"Bearer {door.secrets['otto']}"}
        for path in ("storage/models/all/planets", "storage/models/planets", "storage/models/robots/nothing"):
            answer = door.nobody.get(f"{door.url}/proxy/{path}", headers=headers)
            assert (answer.status_code, json.loads(answer.text)["code"]) == (404, "not_found")
