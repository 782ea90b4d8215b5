"""Differences between live objects and manifests."""
