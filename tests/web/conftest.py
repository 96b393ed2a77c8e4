"""A film of which everything is made, once for all who ask for it."""

from __future__ import annotations

import pytest

from tests.support.asking import Made, everything_made
from tests.support.films import Films


@pytest.fixture(scope="session")
def made(films: Films, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return everything_made(tmp_path_factory.mktemp("made"), films)
