"""OCI registries: logins of this machine, and what a registry has."""
