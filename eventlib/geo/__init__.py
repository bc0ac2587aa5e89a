"""AI traffic, citation visibility, satisfied citations and content experiments (S6, S7)."""
