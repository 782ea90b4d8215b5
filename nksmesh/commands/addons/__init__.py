"""``nksmesh addons``: Istio's add-ons installed, shown, exposed and removed."""
