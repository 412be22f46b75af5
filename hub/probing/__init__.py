"""Trying a running hub from outside, as stock clients meet it."""
