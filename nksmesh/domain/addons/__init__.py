"""The wing of Istio's add-ons: which there are, and where their pages are."""
