"""The rules of ``nksmesh check``: what must hold of a cluster for a mesh to be installed, and to work."""
