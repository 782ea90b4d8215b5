"""istioctl on this machine: the archives that were fetched, and the program in them."""
