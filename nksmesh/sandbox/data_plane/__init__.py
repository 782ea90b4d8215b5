"""The data plane of a sandbox: which pods have real processes, and what a kubelet does for these."""
