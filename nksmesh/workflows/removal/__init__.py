"""Uninstall: what goes, what Helm leaves, and what a purge takes too."""
