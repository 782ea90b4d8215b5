"""nksmesh: Istio on NHN Kubernetes Service, from the region's own registry, proved ready."""

__version__ = "0.1.0"
