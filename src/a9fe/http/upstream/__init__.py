"""The pooled client of the next hop."""
