import tomllib

import pytest

from reafference.errors import BadExperiment
from reafference.published import is_published, remarks_in, take_over

from .folders import BIBI, DRIVE, EXC, SMALL, written


def made(folder, **changes):
    """What is written for the small experiment with changes: the tables, and all that was taken over."""
    taken = take_over(written(folder, **changes))
    return tomllib.loads(taken.files["experiment.toml"].decode()), taken


def complaint(folder, files=None, **changes):
    with pytest.raises(BadExperiment) as error:
        take_over(written(folder, files, **changes))
    return error.value


def test_the_small_experiment_becomes_one_of_ours(tmp_path):
    tables, taken = made(tmp_path)
    assert tables["experiment"] == {
        "name": "A_small_one",
        "title": "A small one",
        "description": "Something to look at.",
        "tags": [],
        "step_ms": 20.0,
        "steps": 75,
    }
    assert tables["brain"] == {
        "script": "brain.py",
        "populations": {"sensors": "circuit[0:5]", "odd": "circuit[1:8:2]", "pair": "circuit[1] + circuit[4]"},
    }
    assert tables["body"] == {
        "model": "husky_room",
        "parameters": {"start_position_m": [1.0, 0.0, 0.5], "start_yaw_rad": 0.5},
    }
    assert tables["transfer"] == {
        "dialect": "nrp",
        "files": ["drive.py", "look.py"],
        "inactive": ["look.py"],
        "weight_unit": "nest",
        "priorities": {"look.py": 3},
    }
    assert list(taken.files) == ["experiment.toml"]
    assert taken.remarks == ()


def test_nothing_is_written_and_nothing_changed_by_reading(tmp_path):
    made(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(SMALL)
    assert is_published(tmp_path)


@pytest.mark.parametrize("prefix", ["ns1", "bibi"])
def test_prefixes_of_namespaces_do_not_matter(tmp_path, prefix):
    plain, _ = made(tmp_path / "plain")
    text = (
        BIBI.replace("</", f"</{prefix}:").replace("<bibi ", f"<{prefix}:bibi ").replace('"Range"', f'"{prefix}:Range"')
    )
    for name in ("brainModel", "file", "populations", "element", "bodyModel", "transferFunction"):
        text = text.replace(f"<{name}", f"<{prefix}:{name}")
    text = text.replace("xmlns=", f"xmlns:{prefix}=").replace('"Python', f'"{prefix}:Python')
    other = take_over(written(tmp_path / "other", SMALL | {"small.bibi": text}))
    assert tomllib.loads(other.files["experiment.toml"].decode()) == plain


def test_no_namespace_at_all_does_as_well(tmp_path):
    plain, _ = made(tmp_path / "plain")
    bare = BIBI.replace(' xmlns="http://schemas.humanbrainproject.eu/SP10/2014/BIBI"', "").replace(
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"', ""
    )
    other = take_over(written(tmp_path / "other", SMALL | {"small.bibi": "\n\n" + bare}))
    assert tomllib.loads(other.files["experiment.toml"].decode()) == plain


def test_a_timeout_is_of_wall_time_unless_it_says_otherwise(tmp_path):
    tables, _ = made(tmp_path, exc=('<timeout time="simulation">1.5<', "<timeout>840<"))
    assert (tables["experiment"]["steps"], tables["experiment"]["real_limit_s"]) == (0, 840.0)


def test_time_step_seed_and_processes_are_taken_over(tmp_path):
    tables, _ = made(
        tmp_path,
        exc=[('src="small.bibi"', 'src="small.bibi" processes="2"'), ("</ExD>", "<rngSeed>77</rngSeed></ExD>")],
        bibi=("<brainModel>", "<timestep>10</timestep><brainModel>"),
    )
    assert (tables["experiment"]["step_ms"], tables["experiment"]["steps"]) == (10.0, 150)
    assert tables["experiment"]["seed"] == 77
    assert tables["brain"]["ranks"] == 2


PYNN = """\
from hbp_nrp_cle.brainsim import simulator as sim
sim.setup(timestep=0.05, min_delay=0.2, max_delay=5.0, threads=2, rng_seeds=[99])
circuit = sim.Population(8, sim.IF_cond_alpha())
odd = circuit[1:8:2]
"""


def test_what_a_script_says_of_the_kernel_is_taken_over(tmp_path):
    taken = take_over(written(tmp_path, SMALL | {"brain.py": PYNN}))
    tables = tomllib.loads(taken.files["experiment.toml"].decode())
    assert tables["brain"] == {
        "script": "brain.py",
        "resolution_ms": 0.05,
        "min_delay_ms": 0.2,
        "max_delay_ms": 5.0,
        "threads": 2,
        "populations": {"sensors": "circuit[0:5]", "odd": "circuit[1:8:2]", "pair": "circuit[1] + circuit[4]"},
    }
    assert tables["experiment"]["seed"] == 99
    assert tables["transfer"]["weight_unit"] == "pynn"


@pytest.mark.parametrize(
    ("mode", "unit"), [("SynchronousDirectNestSimulation", "nest"), ("SynchronousNestSimulation", "pynn")]
)
def test_the_mode_may_say_that_weights_are_those_of_nest(tmp_path, mode, unit):
    named = ("<brainModel>", f"<mode>{mode}</mode><brainModel>")
    taken = take_over(written(tmp_path, SMALL | {"brain.py": PYNN}, bibi=named))
    assert tomllib.loads(taken.files["experiment.toml"].decode())["transfer"]["weight_unit"] == unit


def test_values_of_the_kernel_may_have_names(tmp_path):
    line = "CORES = 4\nnest.SetKernelStatus({'local_num_threads': CORES, 'resolution': 0.5, 'rng_seed': 3})\ncircuit ="
    tables, _ = made(tmp_path, brain=("circuit =", line))
    assert (tables["brain"]["threads"], tables["brain"]["resolution_ms"]) == (4, 0.5)
    assert tables["experiment"]["seed"] == 3


@pytest.mark.parametrize(
    ("delays", "found"),
    [
        ('nest.Connect(circuit, circuit, syn_spec={"delay": 1.0})', None),
        ('nest.Connect(circuit, circuit, syn_spec={"delay": 1.5})', (0.1, 20.0)),
        ('nest.Connect(circuit, circuit, syn_spec={"delay": nest.random.uniform(1.3, 50.0)})', (0.1, 50.0)),
        ("nest.set(min_delay=0.5, max_delay=3.0)", (0.5, 3.0)),
        ("import a_model_of_mine", (0.1, 20.0)),
        ("import pyNN.nest as sim; sim.setup(min_delay=0.2)", (0.2, 10.0)),
    ],
)
def test_delays_that_do_not_fit_the_step_get_a_range(tmp_path, delays, found):
    tables, _ = made(tmp_path, brain=("circuit =", f"{delays}\ncircuit ="))
    brain = tables["brain"]
    assert (brain["min_delay_ms"], brain["max_delay_ms"]) == found if found else "min_delay_ms" not in brain


def test_delays_of_devices_count_as_well(tmp_path):
    look = SMALL["look.py"].replace("@", '@nrp.MapSpikeSink("a", nrp.brain.pair, nrp.population_rate, delay=1.5)\n@')
    taken = take_over(written(tmp_path, SMALL | {"look.py": look}))
    assert tomllib.loads(taken.files["experiment.toml"].decode())["brain"]["min_delay_ms"] == 0.1


def test_a_function_in_the_middle_of_xml_becomes_a_file(tmp_path):
    inline = f"""<transferFunction xsi:type="PythonTransferFunction"><![CDATA[
        {DRIVE.replace("drive", "turn").replace(chr(10), chr(10) + " " * 8)}]]></transferFunction></bibi>"""
    tables, taken = made(tmp_path, bibi=("</bibi>", inline))
    assert tables["transfer"]["files"][-1] == "transfer_functions/turn.py"
    assert taken.files["transfer_functions/turn.py"].decode() == DRIVE.replace("drive", "turn")


def test_state_machines_are_kept_as_text(tmp_path):
    control = '<experimentControl><stateMachine id="Guide" src="guide.exd"/></experimentControl></ExD>'
    taken = take_over(written(tmp_path, SMALL | {"guide.exd": "print 'old'\n"}, exc=("</ExD>", control)))
    assert taken.files["state_machines/Guide.py"] == b"print 'old'\n"
    assert taken.remarks == ("state machines are kept, and not run: state_machines/Guide.py",)
    assert remarks_in(taken.files["experiment.toml"].decode()) == list(taken.remarks)


def test_files_are_found_where_a_library_of_models_had_them(tmp_path):
    files = dict(SMALL)
    files["Models/brain_model/brain.py"] = files.pop("brain.py")
    files["Experiments/one/small.exc"] = files.pop("small.exc")
    files["Experiments/one/small.bibi"] = files.pop("small.bibi").replace("brain.py", "brain_model/brain.py")
    tables = tomllib.loads(take_over(written(tmp_path, files)).files["experiment.toml"].decode())
    assert tables["brain"]["script"] == "Models/brain_model/brain.py"


def test_a_brain_of_the_library_lies_in_a_folder_of_its_name(tmp_path):
    files = {key: text for key, text in SMALL.items() if key != "brain.py"}
    files |= {"one/brain.py": SMALL["brain.py"], "two/brain.py": SMALL["brain.py"]}
    files["small.bibi"] = files["small.bibi"].replace("<brainModel>", '<brainModel model="two">')
    tables = tomllib.loads(take_over(written(tmp_path, files)).files["experiment.toml"].decode())
    assert tables["brain"]["script"] == "two/brain.py"


@pytest.mark.parametrize("name", ["braitenberg.py", "idle_brain.py"])
def test_two_brains_of_the_published_library_are_there(tmp_path, name):
    files = {key: text for key, text in SMALL.items() if key != "brain.py"}
    files["small.bibi"] = files["small.bibi"].replace("brain.py", f"brain_model/{name}")
    taken = take_over(written(tmp_path, files))
    tables = tomllib.loads(taken.files["experiment.toml"].decode())
    assert tables["brain"]["script"] == name
    assert tables["transfer"]["weight_unit"] == "pynn"
    assert "circuit" in taken.files[name].decode()
    assert f"brain_model/{name} is not in the folder" in taken.remarks[0]


def test_a_brain_without_a_robot_and_a_robot_without_a_brain(tmp_path):
    body = BIBI.index("    <bodyModel"), BIBI.index("    <transferFunction")
    alone = BIBI[: body[0]] + BIBI[body[1] :]
    tables = tomllib.loads(
        take_over(written(tmp_path / "a", SMALL | {"small.bibi": alone})).files["experiment.toml"].decode()
    )
    assert "body" not in tables
    robot = BIBI[: BIBI.index("    <brainModel")] + BIBI[body[0] :]
    tables = tomllib.loads(
        take_over(written(tmp_path / "b", SMALL | {"small.bibi": robot})).files["experiment.toml"].decode()
    )
    assert "brain" not in tables


def test_another_robot_brings_its_own_description(tmp_path):
    changes = [("husky_model/model.sdf", "arm/model.sdf"), ('robotId="husky"', 'robotId="arm"')]
    text = BIBI
    for old, new in changes:
        text = text.replace(old, new)
    files = SMALL | {"small.bibi": text, "arm/model.sdf": "<sdf/>", "small.exc": EXC.replace('robotId="husky"', "")}
    tables = tomllib.loads(take_over(written(tmp_path, files)).files["experiment.toml"].decode())
    assert tables["body"] == {
        "model": "robot",
        "file": "arm/model.sdf",
        "name": "arm",
        "position_m": [1.0, 0.0, 0.5],
        "yaw_rad": 0.5,
    }


def test_a_tilted_robot_has_a_quaternion(tmp_path):
    text = BIBI.replace("husky_model/", "arm/").replace('robotId="husky"', 'robotId="arm"')
    tilted = (
        EXC.replace('robotId="husky"', "")
        .replace('roll="0.0"', 'roll="3.14159265358979"')
        .replace('yaw="0.5"', 'yaw="0"')
    )
    files = SMALL | {"small.bibi": text, "arm/model.sdf": "<sdf/>", "small.exc": tilted}
    tables = tomllib.loads(take_over(written(tmp_path, files)).files["experiment.toml"].decode())
    assert tables["body"]["orientation"] == pytest.approx([0, 1, 0, 0], abs=1e-9)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exc": ("small.bibi", "none.bibi")}, "small.exc, line 11, <bibiConf>: the file 'none.bibi' is not in"),
        ({"exc": ('<bibiConf src="small.bibi"/>', "")}, "small.exc, line 2, <ExD>: there is no <bibiConf"),
        ({"exc": ("</name>", "</nme>")}, "small.exc, line 4: this is not XML: mismatched tag"),
        ({"exc": (">1.5<", ">soon<")}, "small.exc, line 7, <timeout>: the timeout in seconds must be a number"),
        ({"exc": ('x="1.0"', 'x="left"')}, "small.exc, line 9, <robotPose>: x must be a number, found 'left'"),
        ({"exc": ('x="1.0"', 'x="nan"')}, "small.exc, line 9, <robotPose>: x must be a finite number"),
        ({"bibi": (">brain.py<", ">brian.py<")}, "small.bibi, line 4, <file>: the brain script 'brian.py' is not in"),
        ({"bibi": (">brain.py<", ">brain.h5<")}, "small.bibi, line 4, <file>: the brain script 'brain.h5' is not in"),
        ({"bibi": ('from="0"', 'from="9"')}, "small.bibi, line 5, <populations>: the range from 9 to 5 has no neuron"),
        ({"bibi": ('from="0"', 'from="-1"')}, "small.bibi, line 5, <populations>: from must be 0 or more"),
        ({"bibi": ("Range", "Sphere")}, "small.bibi, line 5, <populations>: a population of the type 'Sphere'"),
        ({"bibi": ('"odd"', '"sensors"')}, "small.bibi, line 6, <populations>: the population 'sensors' is described"),
        ({"bibi": ('"odd"', '"an odd one"')}, "small.bibi, line 6, <populations>: population='an odd one' must be"),
        ({"bibi": ('src="look.py"', 'src="lok.py"')}, "small.bibi, line 11, <transferFunction>: the transfer function"),
        (
            {"bibi": ('src="look.py"', 'src="drive.py"')},
            "line 11, <transferFunction>: the transfer function drive.py is",
        ),
        (
            {"bibi": ('"PythonTransferFunction" src="drive.py"', '"Neuron2Robot" name="linear_twist"')},
            "small.bibi, line 10, <transferFunction>: the transfer function 'linear_twist' is written in XML "
            "(Neuron2Robot), which is not read",
        ),
        (
            {"brain": ("circuit", "cells")},
            "small.bibi, line 5, <populations>: populations are counted within 'circuit'",
        ),
        (
            {"bibi": [("husky", "icub"), ("model.sdf", "robot.zip")]},
            "the robot is packed in icub_model/robot.zip: unpack",
        ),
        ({"bibi": ("husky", "icub")}, "small.bibi, line 9, <bodyModel>: the robot 'icub_model/model.sdf' is none that"),
    ],
)
def test_what_cannot_be_understood_is_named_with_its_line(tmp_path, changes, words):
    error = complaint(tmp_path, **changes)
    assert words in error.text
    assert error.detail["file"]


def test_document_types_and_their_entities_are_refused(tmp_path):
    bomb = '<?xml version="1.0"?>\n<!DOCTYPE lolz [<!ENTITY lol "lol">]>\n<ExD><name>&lol;</name></ExD>'
    assert "line 2: document types and entities are not read" in complaint(tmp_path, SMALL | {"small.exc": bomb}).text
    deep = "<ExD>" + "<a>" * 200 + "</a>" * 200 + "</ExD>"
    assert "nested more than 100 deep" in complaint(tmp_path, SMALL | {"small.exc": deep}).text


def test_several_experiments_in_one_folder_are_told_apart_by_the_usual_name_only(tmp_path):
    assert "there are several experiments in one" in complaint(tmp_path, SMALL | {"other.exc": EXC}).text
    usual = SMALL | {"experiment_configuration.exc": EXC.replace("A small one", "The usual one")}
    assert take_over(written(tmp_path / "usual", usual)).name == "The_usual_one"


def test_a_coupling_without_a_configuration_is_told_what_is_missing(tmp_path):
    files = {key: text for key, text in SMALL.items() if key != "small.exc"}
    assert "no experiment configuration (.exc)" in complaint(tmp_path, files).text


def test_a_script_in_another_encoding_is_named(tmp_path):
    error = complaint(tmp_path, SMALL | {"look.py": "# ok\n# caf\xe9\n".encode("latin-1")})
    assert error.text.startswith("look.py, line 2: it must be text in UTF-8")


def test_words_of_the_experiment_cannot_leave_the_comments(tmp_path):
    changes = [("virtual_room/virtual_room.sdf", "a&#10;[brain]&#10;threads = 64&#127;"), ("A small one", "\u2603")]
    tables, taken = made(tmp_path, exc=changes)
    assert "threads" not in tables["brain"]
    assert "not in 'a\\n[brain]" in taken.remarks[0]
    assert tables["experiment"]["name"] == "small"
