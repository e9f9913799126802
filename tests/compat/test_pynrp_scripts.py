"""Whole scripts for the published client, as laboratories have them: recordings, studies, benchmarks."""

import csv
import io
import json
import shutil
import zipfile

import pytest

from tests.gateway.doors import Door, zip_of
from tests.gateway.runs import uploaded

from .coach_experiments import NET, PEEK, PUBLISHED, SHORT, held, played


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    with Door(tmp_path_factory.mktemp("coach") / "home", places=2) as opened:
        yield opened


class TestRecording:
    def test_stretches_of_a_run_are_saved_with_a_note(self, door):
        net = uploaded(door.otto, NET, name="recorded")
        played(
            door,
            """
            def run_for(sim, seconds):
                sim.start()
                time.sleep(seconds)
                sim.pause()

            with stopping(vc.launch_experiment(net)) as sim:
                run_for(sim, 0.4)
                sim.start_recording()
                run_for(sim, 0.4)
                sim.pause_recording()
                run_for(sim, 0.4)
                sim.unpause_recording()
                run_for(sim, 0.4)
                sim.stop_recording(True, "what was seen")
                run_for(sim, 0.3)
                sim.start_recording()
                sim.stop_recording(False)
                tell(nothing=refused(sim.stop_recording, True))
            """,
            net=net,
        )
        folder = door.storage.folder(net) / "recordings"
        (zipped,) = folder.glob("*.zip")
        runs = [run.name for run in folder.iterdir() if run.is_dir()]
        assert zipped.with_suffix(".txt").read_text() == "what was seen"
        with zipfile.ZipFile(zipped) as opened:
            names = {name.partition("/")[2] for name in opened.namelist()}
            top = opened.namelist()[0].partition("/")[0]
            rows = list(csv.DictReader(io.StringIO(opened.read(f"{top}/export/joints.csv").decode())))
            summary = json.loads(opened.read(f"{top}/summary.json"))
        assert {"recording.mcap", "summary.json", "export/joints.csv", "export/run.h5"} <= names
        (a, b), (c, d) = summary["stretches_s"]
        assert 0 < a < b < c < d
        times = [float(row["t_s"]) for row in rows]
        assert all(a < t <= b or c < t <= d for t in times)
        assert len(times) == summary["steps"] == round((b - a + d - c) / 0.02)

        found = played(
            door,
            """
            for path in paths:
                seen = []
                sim = vc.launch_experiment(net, recordingPath=path)
                sim.register_status_callback(seen.append)
                tell(functions=refused(sim.edit_transfer_function, "contract", "x"), reset=refused(sim.reset, "brain"))
                sim.print_transfer_functions()
                sim.start()
                until(lambda: seen and seen[-1]["simulationTime"] > 0.2)
                sim.pause()
                paused = sim.get_state()
                sim.start()
                until(lambda: seen[-1]["state"] == "stopped")
                tell(paused=paused, last=seen[-1]["simulationTime"])
                tell(**{path: seen[-1]["simulationTime"]})
            tell(unknown=refused(vc.launch_experiment, net, None, None, True, 1, "disabled", "recordings/no.zip"))
            """,
            net=net,
            paths=[f"recordings/{zipped.name}", runs[0]],
        )
        assert found.printed.splitlines().count("contract") == 2
        said = found.found
        assert said["paused"] == "paused"
        assert said[f"recordings/{zipped.name}"] == pytest.approx(d)
        assert said[runs[0]] > d
        assert "400" in said["functions"]
        assert "400" in said["reset"]
        assert "launch failed" in said["unknown"]


class TestScriptsOfALaboratory:
    def test_a_published_experiment_is_changed_in_every_way_while_it_runs(self, door, tmp_path):
        folder = tmp_path / "husky_search"
        shutil.copytree(PUBLISHED / "husky_search", folder)
        configuration = folder / "experiment_configuration.exc"
        configuration.write_text(configuration.read_text().replace(">2.0</timeout>", ">840</timeout>"))
        found = played(
            door,
            """
            import ast

            name = ast.literal_eval(vc.import_experiment(folder).content.decode())["destFolderName"]
            seen = []
            with stopping(vc.launch_experiment(name)) as sim:
                sim.register_status_callback(seen.append)
                before = sim.get_populations()
                sim.start()
                source = sim.get_transfer_function("drive")
                sim.edit_transfer_function("drive", source + "\\n# edited\\n")
                sim.add_transfer_function(peek)
                until(lambda: seen and seen[-1]["simulationTime"] > 0.2)
                tell(csv=vc.get_last_run_file(name, "csv", "track.csv").decode())
                other = {key if key != "eyes" else "seers": value for key, value in before.items()}
                sim.edit_populations(other)
                tell(before=before, after=sim.get_populations(), other=other)
                tell(sources=[sim.get_transfer_function(one) for one in ("look", "peek")])
                sim.edit_brain(sim.get_brain() + "\\n# more\\n")
                tell(state=sim.get_state(), kept=sim.get_populations())
                for kind in ("robot_pose", "brain"):
                    sim.reset(kind)
                sim.save_brain()
                sim.start()
            with stopping(vc.launch_experiment(name)) as sim:
                sim.start()
                sim.print_transfer_functions()
                tell(again=sim.get_populations(), edited=sim.get_transfer_function("drive")[-9:])
            """,
            folder=str(folder),
            peek=PEEK,
        ).found
        assert found["csv"].startswith("t,x,y")
        assert len(found["csv"].splitlines()) > 5
        assert found["before"]["eyes"] == {"from": 0, "to": 3, "step": 1}
        assert found["after"] == found["kept"] == found["again"] == found["other"]
        assert all("brain.seers" in source and "brain.eyes" not in source for source in found["sources"])
        assert found["state"] == "started"
        assert found["edited"].strip() == "# edited"
        for one in door.gateway.simulations.all()[:2]:
            assert all(function["problem"] is None for function in one.functions())

    def test_a_study_launches_changes_and_stops_in_a_loop(self, door):
        limb = uploaded(door.otto, name="study")
        found = played(
            door,
            """
            forces = []
            for value in (0.0, 0.5, 1.0):
                seen = []
                sim = vc.launch_experiment(limb, server="localhost")
                sim.register_status_callback(seen.append)
                source = sim.get_transfer_function("hold")
                sim.edit_transfer_function("hold", source.replace("FACTOR * params.strength", str(value)))
                sim.start()
                until(lambda: seen and seen[-1]["simulationTime"] > 0.1)
                sim.pause()
                sim.reset("robot_pose")
                sim.start()
                sim.stop()
                until(lambda: seen[-1]["state"] == "stopped")
                forces.append(seen[-1]["simulationTime"])
            vc.print_experiment_runs_files(limb, "profiler")
            vc.delete_cloned_experiment(limb)
            tell(forces=forces)
            """,
            limb=limb,
        )
        assert len(found.found["forces"]) == 3
        assert "profiler_data" in found.printed
        assert limb not in door.storage.ids()


class TestBenchmarkRunner:
    def test_its_order_of_calls_from_zip_to_profile(self, door, tmp_path):
        packed = tmp_path / "benchmark.zip"
        packed.write_bytes(zip_of({f"bench/{name}": text for name, text in SHORT.items()}))
        found = played(
            door,
            """
            import ast

            running = True

            def stop_cb(status):
                global running
                if status["state"] in ("stopped", "halted"):
                    running = False

            for _ in range(2):
                running = True
                answer = vc.import_experiment(packed)
                name = ast.literal_eval(answer.content.decode("UTF-8"))["destFolderName"]
                vc.print_cloned_experiments()
                sim = vc.launch_experiment(name, profiler="cle_step")
                sim.register_status_callback(stop_cb)
                sim.start()
                until(lambda: not running)
                other = VirtualCoach(environment=URL, storage_username=USER, storage_password=PASSWORD)
                profile = other.get_last_run_file(name, "profiler", "cle_time_profile_0.csv")
                vc.delete_cloned_experiment(name)
                tell(name=name, profile=profile.decode())
            """,
            packed=str(packed),
        ).found
        rows = list(csv.DictReader(io.StringIO(found["profile"])))
        assert list(rows[0]) == ["robot_step", "brain_step", "brain_refresh", "cle_step"]
        assert len(rows) == 25
        assert all(0 < float(row["robot_step"]) < float(row["cle_step"]) for row in rows)
        assert found["name"] not in door.storage.ids()
        assert held(door) == 0
