"""A mesh made by hand with Helm, or by istioctl, becomes nksmesh's."""
