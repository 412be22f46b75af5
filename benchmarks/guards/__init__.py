"""What guards cost the backends that use them, compared with what they would do otherwise."""
