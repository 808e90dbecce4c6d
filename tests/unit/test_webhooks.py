"""Where webhooks may point, and how they are signed."""

import base64
import hashlib
import hmac

import pytest

from longhaul.adapters.sealing import CannotOpen, Sealer
from longhaul.core.errors import InvalidInput
from longhaul.core.webhooks import check_url, is_public, new_secret, signed_headers


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::8.8.8.8"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0",
        "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0",
        "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::10.0.0.1",
        "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:f5ff:fffe", "64:ff9b:1::1",
        "64:ff9b:1:fffe::8.8.8.8", "::127.0.0.1", "::8.8.8.8", "::ffff:0:127.0.0.1",
        "fec0::1", "feff::1", "192.0.0.1", "192.0.0.9", "192.0.0.170",
    ],
)  # fmt: skip
def test_private_addresses_are_not_in_whatever_they_are_wrapped(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/hook", "https://", "ftp://example.org", "example.org", "",
        "https://user:secret@example.org/", "https://example.org/#part", "https://127.0.0.1/",
        "https://[::1]/", "https://localhost/", "https://api.localhost./", "https://10.0.0.7:8443/",
        "https://a..b/", f"https://{'a' * 64}.example/", "https://.example/",
        "https://example.org:99999/", "https://example.org:0/", "https://[::1/",
    ],
)  # fmt: skip
def test_addresses_that_no_webhook_may_have(url: str) -> None:
    with pytest.raises(InvalidInput):
        check_url(url, allow_private=False)


def test_a_setting_allows_private_addresses_and_plain_http() -> None:
    check_url("https://example.org/hook?x=1", allow_private=False)
    check_url(f"https://{'a' * 63}.bücher.example./", allow_private=False)
    check_url("http://127.0.0.1:9000/hook", allow_private=True)


def test_the_signature_is_that_of_standard_webhooks() -> None:
    # The example of the specification.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'

    headers = signed_headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_new_secret_is_long_and_never_the_same() -> None:
    first, second = new_secret(), new_secret()
    key = base64.b64decode(first.removeprefix("whsec_"))
    body = b"{}"

    headers = signed_headers(first, "id", 1, body)

    assert first != second
    assert len(key) == 32
    digest = hmac.new(key, b"id.1." + body, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


def test_what_is_sealed_opens_for_its_owner_and_with_a_known_key_only() -> None:
    old, new = {"a": bytes(32)}, {"b": bytes([1]) * 32, "a": bytes(32)}
    sealed = Sealer(old).seal("a secret", "w-1")

    assert b"a secret" not in sealed
    assert Sealer(new).open(sealed, "w-1") == "a secret"
    assert Sealer(new).seal("x", "w-1")[1:2] == b"b"
    for sealer, owner in ((Sealer(new), "w-2"), (Sealer({"b": bytes(32)}), "w-1")):
        with pytest.raises(CannotOpen):
            sealer.open(sealed, owner)
    with pytest.raises(CannotOpen):
        Sealer({}).seal("x", "w-1")
