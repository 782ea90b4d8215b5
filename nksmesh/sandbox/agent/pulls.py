"""Pulls from the sandbox's registry: what a node's runtime would ask it for, and what it would say of the answer."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final

from nksmesh.adapters.cluster.api import Api
from nksmesh.adapters.registry.credentials import Credentials
from nksmesh.adapters.registry.registries import Registries
from nksmesh.domain.common.errors import (
    ClusterError,
    ConfigError,
    DeniedImageError,
    ImageError,
    MissingImageError,
    RefusedError,
)
from nksmesh.domain.images.login import Login, login_for, logins_in
from nksmesh.domain.images.reference import Reference, parse_reference
from nksmesh.domain.kube.objects import Manifest
from nksmesh.sandbox.failures import merge
from nksmesh.sandbox.nodes import PLATFORM
from nksmesh.sandbox.stages import PULL_ANNOTATION, PULL_ERROR_ANNOTATION, PULL_ERRORS, PULLED

_AGAIN_SECONDS: Final = 2.0
"""How long a node waits after a pull that failed; a real one waits 10 s, and longer each time."""

_FAILED: Final = 'failed to pull and unpack image "{0}": '
_UNRESOLVED: Final = f'rpc error: code = Unknown desc = {_FAILED}failed to resolve reference "{{0}}": '
_REQUEST: Final = "http://{0.host}/v2/{0.repository}/manifests/{0.at}"
# github.com/containerd/containerd, core/remotes/docker: resolver.go, authorizer.go; images: image.go
_NO_LOGIN: Final = _UNRESOLVED + (
    "pull access denied, repository does not exist or may require authorization: authorization failed: "
    "no basic auth credentials"
)
_REFUSED: Final = f"{_UNRESOLVED}unexpected status from HEAD request to {_REQUEST}: 401 Unauthorized"
_UNREACHED: Final = (
    f'{_UNRESOLVED}failed to do request: Head "{_REQUEST}": dial tcp {{0.host}}: connect: connection refused'
)
_NO_PLATFORM: Final = f"rpc error: code = NotFound desc = {_FAILED}no match for platform in manifest: not found"

logger = logging.getLogger(__name__)


class Pulls:
    """The pulls of all pods that have images of one registry: each is asked for until all its images are there.

    Args:
        registry: Its host, as images name it.
    """

    def __init__(self, api: Api, registry: str) -> None:
        self._api = api
        self._registry = registry
        self._registries = Registries({}, Credentials({}), plain_http=[registry])
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def seen(self, pod: Manifest, *, gone: bool) -> None:
        """Learn of a pod: a node begins to pull as soon as the pod is bound to it."""
        uid = pod["metadata"]["uid"]
        if gone or pod["metadata"].get("deletionTimestamp"):
            if task := self._tasks.pop(uid, None):
                task.cancel()
        elif uid not in self._tasks and pod["spec"].get("nodeName") and _annotation(pod) != PULLED:
            images = self._images(pod)
            if images:
                self._tasks[uid] = asyncio.create_task(self._pull(pod, images))

    def _images(self, pod: Manifest) -> dict[str, Reference]:
        """Read the names of the pod's images of the registry, those of init containers first, as they are pulled."""
        containers = [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]
        named = (container.get("image", "") for container in containers)
        images: dict[str, Reference] = {}
        for image in dict.fromkeys(named):
            # what is no name at all, no kubelet asks a registry for
            with suppress(ConfigError):
                if image.startswith(f"{self._registry}/"):
                    images[image] = parse_reference(image)
        return images

    async def _pull(self, pod: Manifest, images: dict[str, Reference]) -> None:
        told: dict[str, str | None] = {}
        while True:
            try:
                found = await self._annotations(pod, images)
                if found != told:
                    await self._annotate(pod, found)
                    told = found
            except RefusedError as error:
                if error.reason == "NotFound":
                    return
                logger.warning("%s %s", error.message, error.detail)
            except ClusterError as error:
                logger.warning("%s %s", error.message, error.detail)
            if told.get(PULL_ANNOTATION) == PULLED:
                return
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _annotations(self, pod: Manifest, images: dict[str, Reference]) -> dict[str, str | None]:
        """Ask for each image, and say what is to be noted at the pod: that all are there, or the first that is not."""
        logins = await self._logins(pod)
        for name, image in images.items():
            if words := await self._failure(image, login_for(image, logins)):
                return {PULL_ANNOTATION: name, PULL_ERROR_ANNOTATION: words}
        return {PULL_ANNOTATION: PULLED, PULL_ERROR_ANNOTATION: None}

    async def _failure(self, image: Reference, login: Login | None) -> str:
        """Try a pull; return containerd's words where it fails."""
        try:
            found = await self._registries.find(image, login)
        except MissingImageError:
            return PULL_ERRORS["not-found"].replace("%s", str(image))
        except DeniedImageError:
            return (_REFUSED if login else _NO_LOGIN).format(image)
        except ImageError as error:
            logger.warning("%s %s", error.message, error.detail)
            return _UNREACHED.format(image)
        return _NO_PLATFORM.format(image) if found.platforms and PLATFORM not in found.platforms else ""

    async def _logins(self, pod: Manifest) -> dict[str, Login]:
        """Read the pod's pull secrets as the kubelet does: one that is missing, or broken, counts as none."""
        namespace = pod["metadata"]["namespace"]
        logins: dict[str, Login] = {}
        for named in pod["spec"].get("imagePullSecrets") or []:
            name = named.get("name", "")
            try:
                secret = await self._api.request("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")
                logins |= logins_in(secret, f"{namespace}/{name}")
            except (RefusedError, ConfigError) as error:
                logger.info("pod %s: %s", pod["metadata"]["name"], error.message)
        return logins

    async def _annotate(self, pod: Manifest, annotations: dict[str, str | None]) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        # another pod of the same name, made since, is not meant
        patch = {"metadata": {"uid": metadata["uid"], "annotations": annotations}}
        await merge(self._api, path, patch)


def _annotation(pod: Manifest) -> str:
    return str((pod["metadata"].get("annotations") or {}).get(PULL_ANNOTATION, ""))
