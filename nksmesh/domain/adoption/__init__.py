"""Taking over a mesh that was made by hand with Helm or by istioctl."""
