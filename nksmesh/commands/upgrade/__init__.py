"""Upgrade in place, a minor at a time."""
