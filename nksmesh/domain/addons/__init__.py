"""The wing of Istio's add-ons: which there are, where their pages are, and who could use them."""
