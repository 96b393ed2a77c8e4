"""Films whose frames can be told apart, made once."""

from __future__ import annotations

import pytest

from tests.ffmpeg.numbered import NumberedFilms


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> NumberedFilms:
    """Each of numbered.FILMS by its name."""
    return NumberedFilms(tmp_path_factory.mktemp("numbered"))
