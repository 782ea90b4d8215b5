"""Helm 3 and 4: the program that makes releases, and the records it keeps in the cluster."""
