"""Benchmarks: what databot costs beside what it stands on, measured in the same run. See docs/howto/benchmark.md."""
