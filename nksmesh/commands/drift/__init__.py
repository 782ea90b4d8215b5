"""Live objects against the manifests of their releases."""
