"""HTTP: one file per resource, whose handlers parse a request, call services and return a view.

The path of a ``POST /logout``: the `Listener` accepts the connection, and `Arrival` passes it to
aiohttp. `middleware.answer_requests` calls the handler of the route (`routes`), wrapped by
`answers.answering`, which sends what the handler returns. `logout.post_logout` authenticates the
caller (`credentials`), reads the body, and calls `hub.access.logouts.Logouts.write_own`, which
calls `Store.end_own`. The store writes the logout to its log, from which each replica, this one
too, receives it: `hub.realtime.follower` passes it to `hub.realtime.delivery`.
"""
