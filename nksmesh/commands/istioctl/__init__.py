"""``nksmesh istioctl``: fetch it, push it to a registry, and run it on the right cluster."""
