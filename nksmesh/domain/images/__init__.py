"""Images apart from any cluster: how they are named, and what a registry has of them."""
