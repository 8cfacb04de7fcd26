"""Who a client says it is, and whether its password proves it (vendor reference §4.1; interop.md 2 and 8).

Pure. Compares in constant time and never says which part was wrong. A timestamp is signed, not judged: real devices
send a constant one.
"""

import hmac
from dataclasses import dataclass
from typing import Final

DEFAULT_SIGN_METHOD: Final = "hmacsha1"
SIGN_METHODS: Final = {"hmacmd5": "md5", "hmacsha1": "sha1", "hmacsha256": "sha256"}
REGISTER: Final = "register"
"""The `authType` of a client that asks for its secret instead of using it."""
SERVER_USER: Final = "ota-server"
"""Gateway and publishers log in by this name, with the broker's secret, and may use all topics."""
MAX_CLIENT_ID_LENGTH: Final = 1024


@dataclass(frozen=True, slots=True)
class Login:
    """The names in a CONNECT. `client_id` is the part before the first bar: the only part that is signed."""

    product_key: str
    device_name: str
    client_id: str
    sign_method: str = DEFAULT_SIGN_METHOD
    timestamp: str | None = None
    delivers_unasked: bool = False
    auth_type: str = ""
    random: str = ""


def parse_login(client_id: str, username: str) -> Login | None:
    """The login in a CONNECT, or None if it is not in the devices' form.

    `username` is `DN&PK`, `client_id` is `<anything>|k=v,k=v,…|` with any white space, order and unknown keys.
    """
    device_name, separator, product_key = username.partition("&")
    if not separator or not device_name or not product_key or len(client_id) > MAX_CLIENT_ID_LENGTH:
        return None
    signed, _, extra = client_id.partition("|")
    values: dict[str, str] = {}
    for pair in extra.rstrip().rstrip("|").split(","):
        key, _, value = pair.partition("=")
        values[key.strip()] = value.strip()
    return Login(
        product_key,
        device_name,
        signed,
        values.get("signmethod", DEFAULT_SIGN_METHOD).lower(),
        values.get("timestamp"),
        values.get("_ss") == "1",
        values.get("authType", ""),
        values.get("random", ""),
    )


def password_of(login: Login, device_secret: str) -> str | None:
    """The password that proves `login`, lower-case hex; None for an unknown sign method."""
    content = f"clientId{login.client_id}deviceName{login.device_name}productKey{login.product_key}"
    if login.timestamp is not None:
        content += f"timestamp{login.timestamp}"
    return _sign(content, device_secret, login.sign_method)


def is_password_right(login: Login, password: str, device_secret: str) -> bool:
    """Hex of any case, compared in constant time."""
    return _is_same(password_of(login, device_secret), password)


def registration_sign_of(
    *, product_key: str, device_name: str, random: str, product_secret: str, sign_method: str
) -> str | None:
    """The password of a dynamic registration over MQTT and the `sign` of one over HTTP; None for an unknown method."""
    return _sign(f"deviceName{device_name}productKey{product_key}random{random}", product_secret, sign_method.lower())


def is_registration_right(
    *, product_key: str, device_name: str, random: str, sign: str, sign_method: str, product_secret: str
) -> bool:
    """Whether a dynamic registration, over MQTT or HTTP, is signed with the product's secret."""
    expected = registration_sign_of(
        product_key=product_key,
        device_name=device_name,
        random=random,
        product_secret=product_secret,
        sign_method=sign_method,
    )
    return bool(random) and _is_same(expected, sign)


def is_same_secret(expected: str, given: str) -> bool:
    """Constant-time comparison of two texts."""
    return hmac.compare_digest(expected.encode(), given.encode(errors="replace"))


def _sign(content: str, secret: str, sign_method: str) -> str | None:
    digest = SIGN_METHODS.get(sign_method)
    return None if digest is None else hmac.digest(secret.encode(), content.encode(errors="replace"), digest).hex()


def _is_same(expected: str | None, given: str) -> bool:
    return is_same_secret(expected or "", given.strip().lower()) if expected else False
