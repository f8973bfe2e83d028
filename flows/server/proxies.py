"""Keeps requests to this machine away from the proxies that the environment names.

Behind a company's proxy, Prefect's client would ask the proxy for 127.0.0.1: it fails there, or tells the proxy what runs.
"""

from __future__ import annotations

from collections.abc import MutableMapping

THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
NO_PROXY = ("no_proxy", "NO_PROXY")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def reach_this_machine_directly(environment: MutableMapping[str, str]) -> list[str]:
    """Change the environment of this process, or of one to be started, so that proxies do not see what goes to this machine.

    Args:
        environment: gets `NO_PROXY`; loses proxies that are not reached by HTTP, such as SOCKS. With one of them, Prefect's
            client cannot be created at all.

    Returns:
        The variables that were removed.
    """
    # Where both are set, programs read one and not the other.
    named = ",".join(environment.get(name, "") for name in NO_PROXY).split(",")
    hosts = dict.fromkeys(host.strip() for host in (*named, *THIS_MACHINE) if host.strip())
    environment.update(dict.fromkeys(NO_PROXY, ",".join(hosts)))
    lost = [name for name, value in environment.items() if name.lower() in PROXIES and not is_http(value)]
    for name in lost:
        del environment[name]
    return lost


def is_http(proxy: str) -> bool:
    """Whether this is the address of an HTTP proxy; an address without a scheme is."""
    scheme, separator, _ = proxy.strip().lower().partition("://")
    return not separator or scheme in ("http", "https")
