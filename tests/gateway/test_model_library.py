"""Published experiments that name models instead of having them."""

import pytest

from services.gateway import model_library

EXC = '<ExD xmlns="x"><name>Arm</name><bibiConf src="arm.bibi"/><environmentModel src="hall/hall.sdf"/></ExD>'
BIBI = '<bibi><bodyModel customAsset="true" assetPath="arm" robotId="arm">model.sdf</bodyModel></bibi>'


@pytest.fixture
def models(tmp_path):
    files = {
        "robots/arm/model.sdf": "<sdf/>",
        "robots/arm/.reafference.json": "{}",
        "robots/leg/model.sdf": "<sdf/>",
        "environments/hall/hall.sdf": "<sdf/>",
        "brains/hall/brain.py": "",
    }
    for path, text in files.items():
        file = tmp_path / "models" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "models"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "experiment"
    made.mkdir()
    (made / "experiment_configuration.exc").write_text(EXC)
    (made / "arm.bibi").write_text(BIBI)
    return made


def files(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_models_that_are_named_are_copied_and_no_others(models, folder):
    assert model_library.bring(models, folder) == ["arm", "hall"]
    added = {"arm/model.sdf", "hall/brain.py", "hall/hall.sdf"}
    assert set(files(folder)) == {"arm.bibi", "experiment_configuration.exc"} | added


def test_what_the_experiment_has_itself_stays(models, folder):
    (folder / "assets" / "arm").mkdir(parents=True)
    (folder / "hall").mkdir()
    assert model_library.bring(models, folder) == []


def test_an_experiment_of_our_own_gets_nothing(models, folder):
    (folder / "experiment.toml").write_text("")
    assert model_library.bring(models, folder) == []


def test_without_models_or_with_a_broken_description_nothing_happens(models, folder, tmp_path):
    assert model_library.bring(tmp_path / "none", folder) == []
    (folder / "arm.bibi").write_text("<bibi")
    (folder / "experiment_configuration.exc").write_text("no xml")
    assert model_library.bring(models, folder) == []
