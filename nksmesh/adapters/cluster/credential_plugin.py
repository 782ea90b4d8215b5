"""Credential plugins: the program that a kubeconfig's ``exec`` names, and whose answer is a credential.

The protocol is client-go's (https://kubernetes.io/docs/reference/access-authn-authz/authentication/, "client-go
credential plugins"). The Kubernetes client's own runner hides a plugin's failure and lets it read our input.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Mapping
from typing import Any, Final

from nksmesh.adapters.cluster.kubeconfig import Context, unusable
from nksmesh.domain.common.errors import ClusterError

_TIMEOUT: Final = 120.0
"""Seconds for a plugin: it may have to ask a server, or wait for somebody to sign in."""

_MOST_WORDS: Final = 1000
"""Characters shown of what a plugin says on its standard error."""


async def credential(context: Context) -> dict[str, str]:
    """Run a context's plugin; return its answer as the keys a kubeconfig's user has.

    Raises:
        ClusterError: It cannot be run, fails, takes too long, or answers with something else.
    """
    plugin = context.user["exec"]
    said = plugin if isinstance(plugin, Mapping) else {}
    if not all(isinstance(said.get(key), str) for key in ("command", "apiVersion")):
        raise unusable(context.source, "exec needs a command and an apiVersion")
    command, version = said["command"], said["apiVersion"]
    answer = await _run(context, said)
    if not isinstance(answer, Mapping) or answer.get("apiVersion") != version:
        raise _failed(context, command, f"its answer is not an ExecCredential of {version}")
    status = answer.get("status")
    given = status if isinstance(status, Mapping) else {}
    if given.get("token"):
        return {"token": str(given["token"])}
    if given.get("clientCertificateData") and given.get("clientKeyData"):
        return {
            "client-certificate-data": base64.b64encode(str(given["clientCertificateData"]).encode()).decode(),
            "client-key-data": base64.b64encode(str(given["clientKeyData"]).encode()).decode(),
        }
    raise _failed(context, command, "its answer has neither a token nor a client certificate with its key")


async def _run(context: Context, plugin: Mapping[str, Any]) -> Any:
    command = plugin["command"]
    arguments = plugin.get("args") or []
    if not isinstance(arguments, list):
        raise unusable(context.source, "exec: args is not a list")
    try:
        own = {str(variable["name"]): str(variable["value"]) for variable in plugin.get("env") or ()}
    except (KeyError, TypeError) as exc:
        raise unusable(context.source, "exec: env is not a list of names and values") from exc
    spec: dict[str, Any] = {"interactive": False}
    if plugin.get("provideClusterInfo"):
        spec["cluster"] = _cluster_info(context)
    info = {"apiVersion": plugin["apiVersion"], "kind": "ExecCredential", "spec": spec}
    try:
        process = await asyncio.create_subprocess_exec(
            command,
            *map(str, arguments),
            env={**os.environ, **own, "KUBERNETES_EXEC_INFO": json.dumps(info)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as exc:
        raise _failed(context, command, str(exc), hint=str(plugin.get("installHint") or "")) from exc
    try:
        async with asyncio.timeout(_TIMEOUT):
            out, err = await process.communicate()
    except TimeoutError as exc:
        raise _failed(context, command, f"no answer after {_TIMEOUT:.0f} s") from exc
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        words = err.decode(errors="replace").strip()[-_MOST_WORDS:]
        raise _failed(context, command, words or f"it ended with exit code {process.returncode}")
    try:
        return json.loads(out)
    except ValueError:
        raise _failed(context, command, "its answer is not JSON") from None  # the answer may hold a secret


def _cluster_info(context: Context) -> dict[str, Any]:
    keys = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")
    said = {key: context.cluster[key] for key in keys if key in context.cluster}
    authority = context.cluster.get("certificate-authority")
    if authority and "certificate-authority-data" not in said:
        try:
            with open(authority, "rb") as file:  # noqa: PTH123 - a string from the kubeconfig, read once
                said["certificate-authority-data"] = base64.b64encode(file.read()).decode()
        except OSError as exc:
            raise unusable(context.source, str(exc)) from exc
    return said


def _failed(context: Context, command: str, words: str, *, hint: str = "") -> ClusterError:
    return ClusterError(
        f"the credential plugin {command} of context {context.name} gave no credentials",
        hint=hint
        or "Run the command by hand to see why (it is exec in the kubeconfig). You may have to install it, or sign in.",
        detail=words,
    )
