"""Zones whose weeks are alike, to publish: a map with the weeks of the segments, and tables."""
