"""``logout-hub doctor``: checks the settings, the issuers, the store and the clock."""
