"""``nksmesh sample``: one of Istio's samples deployed, verified and deleted."""
