"""The mesh: what was asked for, the catalog, what it resolves to, and its record."""
