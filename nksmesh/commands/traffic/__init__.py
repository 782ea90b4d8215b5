"""``nksmesh traffic``: recipes for one Service or namespace, and what really happens to its requests."""
