"""Tests of ``logout-hub streams``."""
