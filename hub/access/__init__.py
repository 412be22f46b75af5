"""Between store and edges: who is calling, and what may they do. Knows neither HTTP nor sockets."""
