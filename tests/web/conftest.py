"""Who speaks to the API."""

import pytest

from tests.api import Api
from tests.factories import make_user


@pytest.fixture
def api(db: None) -> Api:
    """A program with an operator's token."""
    return Api(make_user())
