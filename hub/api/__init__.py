"""HTTP: one file per resource, whose handlers parse a request, call services and return a view."""
