"""The benchmarks: ratios to peers that are measured in the same run (README.md)."""
