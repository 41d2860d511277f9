"""Benchmarks: ratios beside a peer taken in turns in the same run, never promises."""
