"""A later istiod beside the mesh's own: start, move, promote, abort."""
