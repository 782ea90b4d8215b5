"""The runs that wrote to a mesh, kept in the cluster."""
