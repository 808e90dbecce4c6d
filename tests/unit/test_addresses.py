"""Where this machine reaches an API that listens on some address."""

import socket

import pytest

from longhaul.adapters.settings import ApiSettings
from longhaul.local.ports import answers, free_port


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("10.1.2.3", "http://10.1.2.3:8000"),
        ("::1", "http://[::1]:8000"),
        ("::", "http://[::1]:8000"),
        ("localhost", "http://localhost:8000"),
    ],
)
def test_the_url_of_an_api_is_one_that_can_be_reached(host: str, url: str) -> None:
    assert ApiSettings(host=host, port=8000).url() == url


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1"])
async def test_a_port_is_looked_for_and_asked_on_its_own_address(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as server:
        try:
            server.bind((host, 0))
        except OSError:
            pytest.skip("this machine has no such address")
        server.listen()
        port = server.getsockname()[1]

        assert await answers(port, host)
        assert free_port(port, host=host) != port
