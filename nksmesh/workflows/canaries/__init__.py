"""A later istiod beside the mesh's own: started, moved to, promoted or given up; and revision tags."""
