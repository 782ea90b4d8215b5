"""Kubernetes objects, judged: readiness, diagnosis, workloads, images."""
