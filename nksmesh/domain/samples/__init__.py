"""The wing of Istio's samples: their files, what nksmesh changes in them, and whose objects they are."""
