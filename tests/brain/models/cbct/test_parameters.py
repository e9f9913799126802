from typing import Any

import pytest

from reafference.errors import BadExperiment
from services.brain.models.cbct.parameters import CbctParameters


def test_the_default_is_a_tenth_of_m1() -> None:
    options = CbctParameters.load({})
    assert (options.regions, options.area_mm2, options.geometry) == (("M1",), 0.1, "intended")
    assert options.zones == {"M1"}


def test_the_thalamus_is_its_zones() -> None:
    assert CbctParameters.load({"regions": ["TH", "TH_M1_IZ"]}).zones == {
        "TH_S1_EZ",
        "TH_S1_IZ",
        "TH_M1_EZ",
        "TH_M1_IZ",
    }
    assert CbctParameters.load({"regions": ["TH_M1_IZ"]}).zones == {"TH_M1_IZ"}


@pytest.mark.parametrize(
    ("parameters", "key", "words"),
    [
        ({"regions": []}, "regions", "at least one"),
        ({"regions": "M1"}, "regions", "a list"),
        ({"regions": ["M1", "CB_M2"]}, "regions[1]", "did you mean 'CB_M1'?"),
        ({"regions": ["Thalamus"]}, "regions[0]", "one of S1, M1, TH"),
        ({"area_mm2": 0.01}, "area_mm2", "0.02 or more"),
        ({"area_mm2": float("nan")}, "area_mm2", "0.02 or more"),
        ({"area": 0.1}, "area", "did you mean 'area_mm2'?"),
        ({"geometry": "publishd"}, "geometry", "did you mean 'published'?"),
        ({"compensation": "all"}, "compensation", "'none' or 'indegree' or 'drive'"),
        ({"pathway_groups": ["ctx_thal"]}, "pathway_groups[0]", "did you mean 'ctx_th'?"),
        ({"transient_ms": -1.0}, "transient_ms", "0 or more"),
        ({"synapse_model": "stdp_synapse"}, "synapse_model", "'static_synapse_hpc'"),
    ],
)
def test_a_mistake_is_named_with_its_key(parameters: dict[str, Any], key: str, words: str) -> None:
    with pytest.raises(BadExperiment) as error:
        CbctParameters.load(parameters)
    assert error.value.detail == {"file": "experiment.toml", "key": f"brain.parameters.{key}"}
    assert words in error.value.text
