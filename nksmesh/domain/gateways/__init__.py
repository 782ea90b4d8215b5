"""The wing of gateways: where one is reached, what listens there, and what an answer of it means."""
