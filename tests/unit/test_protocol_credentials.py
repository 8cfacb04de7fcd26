"""Log-ins as real SDKs send them, against the vendor's vectors (vendor reference §4.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices_app.protocol.credentials import (
    Login,
    is_password_right,
    is_registration_right,
    parse_login,
    password_of,
    registration_sign_of,
)

PK, DN, SECRET = "a1B2c3D4e5F", "dev001", "0123456789abcdef0123456789abcdef"
VECTORS = {
    "hmacsha256": "88d3ce1423c115e0425395b171e6e5fd1c9c97c349f1584ad2baf32d5d913dca",
    "hmacsha1": "86accbfe5449d07ade91baeae95b6bd669ca74b6",
    "hmacmd5": "935b46dafcb8835cef2e06835e305152",
}


def login_of(client_id: str) -> Login:
    login = parse_login(client_id, f"{DN}&{PK}")
    assert login is not None
    return login


@pytest.mark.parametrize("method", VECTORS)
def test_the_vectors_of_the_vendor_reference_hold(method: str) -> None:
    """Each sign method, with the constant timestamp of the C SDKs."""
    login = login_of(f"a1B2c3D4e5F.dev001|timestamp=2524608000000,securemode=3,signmethod={method}|")
    assert password_of(login, SECRET) == VECTORS[method]
    assert is_password_right(login, VECTORS[method], SECRET)


def test_without_timestamp_and_sign_method_it_is_hmacsha1_over_three_names() -> None:
    """The second vector; the default sign method is the Node SDK's."""
    assert is_password_right(login_of("12345"), "b3b7ac3def604a6020ac741e435b40df679fd850", SECRET)


def test_upper_case_hex_is_accepted() -> None:
    """The C SDKs send it."""
    login = login_of("a1B2c3D4e5F.dev001|timestamp=2524608000000,_ss=1,signmethod=hmacsha256|")
    assert is_password_right(login, VECTORS["hmacsha256"].upper(), SECRET)


@pytest.mark.parametrize(
    "extra",
    [
        "timestamp=2524608000000,_ss=1,_v=sdk-c-4.1.0,securemode=3,signmethod=hmacsha256,ext=3,",
        "securemode=3,\n        signmethod=hmacsha256,\n        timestamp=2524608000000,_ss=1",
        "_ss=1, signmethod = hmacsha256 ,=,nonsense,,timestamp=2524608000000",
        "signmethod=HmacSHA256,timestamp=2524608000000,_ss=1,lan=Python,sii=a=b",
    ],
)
def test_any_order_white_space_and_unknown_keys_are_accepted(extra: str) -> None:
    """C SDK with its trailing comma, Node SDK with its line breaks, and others."""
    login = login_of(f"a1B2c3D4e5F.dev001|{extra}|")
    assert is_password_right(login, VECTORS["hmacsha256"], SECRET)
    assert login.delivers_unasked


@pytest.mark.parametrize("password", ["", "0" * 64, VECTORS["hmacsha1"], "ü" * 64, "\udcff"])
def test_a_wrong_password_is_refused(password: str) -> None:
    """Also one of another sign method."""
    login = login_of("a1B2c3D4e5F.dev001|timestamp=2524608000000,signmethod=hmacsha256|")
    assert not is_password_right(login, password, SECRET)


def test_an_unknown_sign_method_is_refused() -> None:
    """Rather than taken for the default."""
    login = login_of("x|signmethod=none|")
    assert password_of(login, SECRET) is None
    assert not is_password_right(login, "", SECRET)


@pytest.mark.parametrize("username", ["", "dev001", "&", "dev001&", "&pk"])
def test_a_username_in_another_form_is_no_login(username: str) -> None:
    """It must be DN&PK."""
    assert parse_login("x", username) is None


def test_an_endless_client_id_is_no_login() -> None:
    """A bound before any work."""
    assert parse_login("x" * 1025, f"{DN}&{PK}") is None


def test_a_dynamic_registration_proves_the_product_secret() -> None:
    """The clientId is DN.PK with a random, password over three names (interop.md 8)."""
    login = login_of("dev001.a1B2c3D4e5F|random=R1,authType=register,securemode=2,signmethod=hmacsha256|")
    sign = registration_sign_of(
        product_key=PK, device_name=DN, random="R1", product_secret="ps", sign_method="hmacSHA256"
    )
    assert sign is not None
    assert login.auth_type == "register"
    fields = {"product_key": PK, "device_name": DN, "random": login.random, "sign_method": login.sign_method}
    assert is_registration_right(**fields, sign=sign.upper(), product_secret="ps")
    assert not is_registration_right(**fields, sign=sign, product_secret="other")


def test_a_registration_without_a_random_proves_nothing() -> None:
    """It could be replayed for ever."""
    fields = {"product_key": PK, "device_name": DN, "random": "", "sign_method": "hmacsha1", "product_secret": "ps"}
    sign = registration_sign_of(**fields)
    assert sign is not None
    assert not is_registration_right(**fields, sign=sign)


@given(st.text(), st.text(), st.text())
def test_no_texts_raise(client_id: str, username: str, password: str) -> None:
    """A CONNECT is a stranger's."""
    login = parse_login(client_id, username)
    assert login is None or not is_password_right(login, password, SECRET)
