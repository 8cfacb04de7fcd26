"""Who speaks to the API, and who opens pages."""

import pytest

from tests.api import Api
from tests.factories import make_user
from tests.pages import Console


@pytest.fixture
def api(db: None) -> Api:
    """A program with an operator's token."""
    return Api(make_user())


@pytest.fixture
def console(db: None) -> Console:
    """A signed-in operator."""
    return Console(make_user())
