import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import reaf


@pytest.fixture
def session(tmp_path):
    """A `reaf` that can be watched and disturbed while it runs."""
    with reaf.session(tmp_path) as made:
        yield made
