"""A Kubernetes cluster, through the API server."""
