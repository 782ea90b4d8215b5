"""What runs write down: the record of the mesh and the history of its runs."""
