"""Ratios against peers and limits; each module prints a table. `make bench` runs the main ones."""
