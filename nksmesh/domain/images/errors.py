"""What goes wrong with an image in a registry."""

from __future__ import annotations

from nksmesh.domain.common.errors import ChartError


class ImageError(ChartError):
    """An image that a registry does not give."""

    code = "image"


class MissingError(ImageError):
    """A registry that answers, and does not have the image."""


class DeniedError(ImageError):
    """A registry that does not give the image to this login, or to nobody without one."""
