"""What `benchmarks/weather.py` lets loose on the product."""
