from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.films import damaged_films
from tests.support.films import Films


@pytest.fixture(scope="session")
def honest(films: Films, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Films to be damaged."""
    return damaged_films(films, tmp_path_factory.mktemp("honest"))
