"""What a change costs, measured: ``python -m benchmarks`` (see ``docs/performance.md``)."""
