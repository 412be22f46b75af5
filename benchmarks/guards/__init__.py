"""What guards cost the backends that have them, beside what they would do without."""
