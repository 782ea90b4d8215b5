"""From a kubeconfig's context to a client of the API server: credentials, certificates, proxy."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from nksmesh.adapters.cluster import credential_plugin, library, proxies
from nksmesh.adapters.cluster.kubeconfig import Context, unusable
from nksmesh.domain.common.errors import ClusterError

if TYPE_CHECKING:
    from kubernetes.aio.client import ApiClient

    from nksmesh.adapters.cluster.connections import Connections

_AS: Final = {"as": "Impersonate-User", "as-uid": "Impersonate-Uid"}
_HTTP: Final = ("http", "https")
_SOCKS: Final = ("socks5", "socks5h")
"""client-go takes the first of these in a kubeconfig, Go's net/http both in the environment; they mean the same."""

_OIDC_HINT: Final = "Run kubectl get nodes once: kubectl renews the token and keeps it. Or name another kubeconfig."


@dataclass(frozen=True, eq=False)
class Client:
    """What speaks to an API server.

    Attributes:
        api: The Kubernetes client.
        connections: Its connections.
    """

    api: ApiClient
    connections: Connections

    async def close(self) -> None:
        """End the client and its connections."""
        await self.api.close()
        await self.connections.end()


async def open_client(context: Context) -> Client:
    """Make a client of a context's API server, its credentials fresh; nothing is sent to that server yet.

    Raises:
        ClusterError: The credentials cannot be had, or what the kubeconfig says cannot be used.
    """
    config, client = library.load()
    settings = client.Configuration()
    user = await _user(context)
    named = {
        "contexts": [{"name": context.name, "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": context.cluster}],
        "users": [{"name": "it", "user": user}],
    }
    try:
        await config.load_kube_config_from_dict(named, context=context.name, client_configuration=settings)
        proxy = _proxy(context)
        socks = urlsplit(proxy).scheme in _SOCKS
        settings.proxy = None if socks else proxy or None
        # The proxy is decided above; ~/.netrc is not for us.
        settings.client_session_kwargs = {"trust_env": False, "headers": _impersonation(context)}
        settings.client_side_validation = False
        # Certificates and keys are loaded here; ssl.SSLError is an OSError.
        return connected(client.ApiClient(configuration=settings), socks=proxy if socks else "")
    except (config.ConfigException, OSError, ValueError) as exc:
        raise unusable(context.source, f"{type(exc).__name__}: {exc}") from exc


def connected(client: ApiClient, *, socks: str = "") -> Client:
    """Give a Kubernetes client connections that end with it; it has sent nothing yet.

    Args:
        socks: The URL of the SOCKS5 proxy on the way; empty for none.
    """
    connections = _connections(client.rest_client.ssl_context, socks)
    settings = client.configuration
    settings.client_session_kwargs = {**(settings.client_session_kwargs or {}), "connector": connections}
    return Client(client, connections)


def _impersonation(context: Context) -> list[tuple[str, str]]:
    """Return the headers that ask to be taken for somebody else (``as`` and ``as-groups``), as Helm sends them."""
    headers = [(header, str(context.user[key])) for key, header in _AS.items() if key in context.user]
    return [*headers, *(("Impersonate-Group", str(group)) for group in context.user.get("as-groups") or ())]


async def _user(context: Context) -> dict[str, object]:
    """Return a context's user, a plugin's answer in the plugin's place; a token that is there goes before a plugin."""
    user = dict(context.user)
    plugin = user.pop("exec", None)
    if plugin is not None and not (user.get("token") or user.get("tokenFile")):
        user |= await credential_plugin.credential(context)
    provider = user.pop("auth-provider", None)
    if provider is not None:
        user["token"] = _id_token(context, provider)
    return user


def _id_token(context: Context, provider: Any) -> str:
    """Return the token that an OIDC auth-provider keeps.

    It is not refreshed here: a refresh token is often good for one use, and whoever uses it has to write the next one
    into the kubeconfig, as kubectl does. The Kubernetes client's own refresh sends it without checking who gets it.
    """
    if not isinstance(provider, Mapping) or provider.get("name") != "oidc":
        raise unusable(context.source, "its auth-provider is not supported: only oidc is, as in kubectl")
    token = str((provider.get("config") or {}).get("id-token") or "")
    try:
        payload = token.split(".")[1]
        expires = json.loads(base64.urlsafe_b64decode(payload + "==")).get("exp")
    except (IndexError, ValueError, AttributeError) as exc:
        raise unusable(context.source, "its oidc id-token is not a token", hint=_OIDC_HINT) from exc
    if isinstance(expires, int | float) and expires <= time.time():
        raise unusable(context.source, "its oidc id-token has expired", hint=_OIDC_HINT)
    return token


def _connections(tls: ssl.SSLContext, socks: str) -> Connections:
    if socks:
        from nksmesh.adapters.cluster.socks import SocksConnections  # noqa: PLC0415 - few have such a proxy

        return SocksConnections(tls, socks)
    from nksmesh.adapters.cluster.connections import Connections  # noqa: PLC0415 - aiohttp is there from here on

    return Connections(tls)


def _proxy(context: Context) -> str:
    """Return the proxy on the way to the API server, the kubeconfig's own before the environment's; empty for none.

    Raises:
        ClusterError: It is none that kubectl and Helm take. Its URL is not said: it may hold a password.
    """
    server = context.cluster["server"]
    own = str(context.cluster.get("proxy-url") or "")
    proxy = own or proxies.proxy_for(server)
    if not proxy:
        return ""
    schemes = (*_HTTP, _SOCKS[0]) if own else (*_HTTP, *_SOCKS)
    problem = _problem(proxy, schemes)
    if not problem:
        return proxy
    name = "proxy-url" if own else f"{urlsplit(server).scheme.upper()}_PROXY"
    raise ClusterError(
        f"the proxy for {server} cannot be used: {name} {f'in {context.source} ' if own else ''}{problem}",
        hint=f"Write {name} as SCHEME://HOST:PORT with {', '.join(schemes[:-1])} or {schemes[-1]}"
        + (
            f", or remove it from {context.source}. NO_PROXY does not count for it, in kubectl and Helm neither."
            if own
            else ", or list the API server in NO_PROXY."
        ),
    )


def _problem(proxy: str, schemes: Sequence[str]) -> str:
    """Say what is wrong with a proxy's URL; empty for nothing."""
    try:
        url = urlsplit(proxy)
        host, _ = url.hostname, url.port
    except ValueError:
        return "is not a URL"
    if url.scheme not in schemes:
        return f"has the scheme {url.scheme}" if "://" in proxy else "has no scheme"
    return "" if host else "has no host"
