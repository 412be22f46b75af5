"""Measures what guards cost the backends that use them, compared with the alternatives."""
