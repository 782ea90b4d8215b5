"""To another version in place: the road, its steps, and the workloads that lag behind."""
