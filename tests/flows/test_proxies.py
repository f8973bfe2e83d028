"""Which proxies of the environment are left, and that none is for this machine."""

from __future__ import annotations

import httpx
import pytest

from flows.server.proxies import reach_this_machine_directly


@pytest.mark.parametrize(
    "proxy", ["socks5://127.0.0.1:9", "socks5h://127.0.0.1:9", "SOCKS://127.0.0.1:9/", "socks4://h:1"]
)
@pytest.mark.parametrize("name", ["ALL_PROXY", "all_proxy", "HTTP_PROXY", "https_proxy"])
def test_a_proxy_that_prefects_client_cannot_use_is_left_out(
    name: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {name: proxy, "HTTP_PROXY" if name != "HTTP_PROXY" else "ALL_PROXY": "http://proxy.example:3128"}
    with monkeypatch.context() as before:
        for variable, value in environment.items():
            before.setenv(variable, value)
        with pytest.raises((ImportError, ValueError)):
            httpx.Client()
    assert reach_this_machine_directly(environment) == [name]
    assert "http://proxy.example:3128" in environment.values()
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    httpx.Client().close()


@pytest.mark.parametrize("proxy", ["http://proxy.example:3128", "HTTPS://proxy.example", "proxy.example:3128", ""])
def test_other_proxies_stay_for_what_is_elsewhere(proxy: str) -> None:
    environment = {"HTTPS_PROXY": proxy, "NO_PROXY": "intranet.example, 10.0.0.0/8", "no_proxy": "lan,localhost"}
    assert reach_this_machine_directly(environment) == []
    direct = "lan,localhost,intranet.example,10.0.0.0/8,127.0.0.1,::1"
    assert environment == {"HTTPS_PROXY": proxy, "NO_PROXY": direct, "no_proxy": direct}
    again = dict(environment)
    reach_this_machine_directly(again)
    assert again == environment


def test_without_any_proxy_nothing_but_this_machine_is_named() -> None:
    environment: dict[str, str] = {}
    assert reach_this_machine_directly(environment) == []
    assert environment == dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost,::1")
