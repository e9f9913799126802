import pytest

from services.brain import shipped


def test_the_shipped_models_are_found() -> None:
    assert shipped.names() == ["balanced", "braitenberg", "cbct"]


@pytest.mark.parametrize("name", shipped.names())
def test_every_shipped_model_can_be_built_and_states_its_delays(name: str) -> None:
    model = shipped.shipped_model(name)
    assert callable(model.build)
    assert model.DELAYS is None or model.DELAYS.min_ms <= model.DELAYS.max_ms
