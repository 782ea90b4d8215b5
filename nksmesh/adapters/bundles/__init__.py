"""Bundles on disk: written and read in pieces, whatever their size."""
