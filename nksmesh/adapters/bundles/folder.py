"""The small files of a bundle in a folder, as ``--dir`` takes it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Final

from nksmesh.adapters.bundles.tar import Bundle
from nksmesh.domain.bundles.contents import LOCK, VALUES
from nksmesh.domain.common.errors import ConfigError

_ENVIRONMENTS: Final = "environments"


def unpack(bundle: Bundle, below: Path) -> Path:
    """Write values and charts.lock of a bundle into a folder that is named by its contents.

    Raises:
        ConfigError: The folder cannot be written.
        BundleError: A file is not what the bundle lists.
    """
    target = below / hashlib.sha256(bundle.contents.text().encode()).hexdigest()
    names = [file.path for file in bundle.contents.files if file.path == LOCK or file.path.startswith(f"{VALUES}/")]
    files = {name: bundle.read(name) for name in names}
    try:
        below.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".fresh-", dir=below))
        try:
            for name, content in files.items():
                place = fresh / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            if target.exists():  # somebody may have changed it since
                shutil.rmtree(target)
            fresh.rename(target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise ConfigError(
            f"{below} cannot be written: {error.strerror or error}",
            hint="Set NKSMESH_CACHE to a folder that can be written.",
        ) from error
    return target


def values_for(folder: Path, environment: str) -> dict[str, bytes]:
    """Read what a folder of meshes has below ``values/``, but other environments.

    Raises:
        ConfigError: A file cannot be read.
    """
    values, found = folder / VALUES, {}
    others = values / _ENVIRONMENTS
    for path in sorted(values.rglob("*")):
        elsewhere = path.is_relative_to(others) and path.relative_to(others).parts[:1] != (environment,)
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if elsewhere or hidden or not path.is_file():
            continue
        try:
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="Check its permissions.") from error
    return found
