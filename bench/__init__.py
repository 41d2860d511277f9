"""Benchmarks: ratios to a peer, measured in turns in the same run."""
