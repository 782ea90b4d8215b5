"""Bundles: a mesh in one file, for a network without internet."""
