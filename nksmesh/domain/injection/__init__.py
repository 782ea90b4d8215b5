"""The wing of injection: which pods istiod gives a proxy, why others have none, and the labels that decide it."""
