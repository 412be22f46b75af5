"""``logout-hub probe``: tries a running hub from outside, as stock clients do."""
