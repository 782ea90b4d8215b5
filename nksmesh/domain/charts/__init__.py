"""Charts, the lock, and the Helm releases made of charts."""
