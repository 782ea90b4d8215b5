"""istioctl: its archives, where they lie in a registry, and what it reports."""
