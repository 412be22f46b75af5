"""What the hub counts, for Prometheus. One instance a process, with a registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

FRESH = 1.0
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
AGES = (0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 3600.0, 86400.0)


class Metrics:
    """The counters; label values come from closed sets only, never from a request's text."""

    def __init__(self) -> None:
        self._rendered, self._rendered_at = b"", float("-inf")
        self.registry = CollectorRegistry()
        self.sockets = Gauge(
            "hub_sockets", "Accepted sockets of this replica", registry=self.registry
        )
        self.connects = Counter(
            "hub_connects",
            "Sockets that asked to connect, by the code of the answer (ok when accepted)",
            ["code"],
            registry=self.registry,
        )
        self.logouts = Counter(
            "hub_logouts",
            "Logouts that this replica wrote",
            ["scope", "reason"],
            registry=self.registry,
        )
        self.notices = Counter(
            "hub_notices",
            "Sockets that were told of a logout, by what became of it",
            ["state"],
            registry=self.registry,
        )
        self.acknowledged_seconds = Histogram(
            "hub_acknowledged_seconds",
            "From a logout's arrival at this replica to a socket's acknowledgement",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.last_acknowledged_seconds = Histogram(
            "hub_last_acknowledged_seconds",
            "From a logout's arrival at this replica until all its sockets had acknowledged",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.last_cut_seconds = Histogram(
            "hub_last_cut_seconds",
            "From a logout's arrival at this replica until its last socket was cut",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.heard = Counter(
            "hub_heard", "Logouts that this replica read from the log", registry=self.registry
        )
        self.forged = Counter(
            "hub_forged",
            "Messages on the channel that no replica had signed, which were ignored",
            registry=self.registry,
        )
        self.replayed = Counter(
            "hub_replayed",
            "Logouts that this replica found in the log and had not heard live",
            registry=self.registry,
        )
        self.position_age = Gauge(
            "hub_position_age_seconds",
            "Since the store last confirmed that every logout was heard, in each partition",
            registry=self.registry,
        )
        self.fences = Counter(
            "hub_fences",
            "Times that this replica closed sockets for want of that confirmation",
            registry=self.registry,
        )
        self.partitions = Gauge(
            "hub_partitions",
            "Partitions by how this replica follows them",
            ["state"],
            registry=self.registry,
        )
        self.losses = Counter(
            "hub_losses",
            "Times that the store was found to have lost what it knew",
            registry=self.registry,
        )
        self.swept = Counter(
            "hub_swept",
            "Sockets that a sweep found ended, by its cause (slow should never find any)",
            ["cause"],
            registry=self.registry,
        )
        self.following = Gauge(
            "hub_following",
            "1 while this replica hears of logouts in at least half of the partitions",
            registry=self.registry,
        )
        self.audit_lost = Counter(
            "hub_audit_lost",
            "Events that found no room in the audit log",
            registry=self.registry,
        )
        self.audit_uncopied = Counter(
            "hub_audit_uncopied",
            "Lines of the audit log that were not copied to the store",
            registry=self.registry,
        )
        self.limited = Counter(
            "hub_limited",
            "Refused since a limit was reached, by the limit",
            ["kind"],
            registry=self.registry,
        )
        self.tokens = Counter(
            "hub_tokens",
            "Tokens verified, by issuer entry and by whether they named their login",
            ["issuer", "login"],
            registry=self.registry,
        )
        self.signals = Counter(
            "hub_signals",
            "Signals of others that were accepted, by how they came, their sender and their effect",
            ["channel", "sender", "verdict"],
            registry=self.registry,
        )
        self.signals_refused = Counter(
            "hub_signals_refused",
            "Signals of others that were refused, by how they came and why",
            ["channel", "reason"],
            registry=self.registry,
        )
        self.signal_age = Histogram(
            "hub_signal_age_seconds",
            "From the time that a signal was signed to its arrival",
            ["channel", "sender"],
            buckets=AGES,
            registry=self.registry,
        )
        self.signal_acknowledged = Histogram(
            "hub_signal_acknowledged_seconds",
            "From a signal's arrival until the receipt of its logout was complete",
            ["channel", "sender"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.polls = Counter(
            "hub_polls",
            "Polls of transmitters of security events by this replica",
            ["result"],
            registry=self.registry,
        )
        self.requests = Counter(
            "hub_requests",
            "HTTP requests, by route and status",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "hub_request_seconds",
            "Time to answer an HTTP request",
            ["method", "route"],
            buckets=SECONDS,
            registry=self.registry,
        )

    def render(self, now: float) -> bytes:
        """Return all of them in Prometheus' text format 0.0.4, as they were a second ago at most.

        ``now`` is in seconds by any clock that does not go back. Gathering them takes milliseconds,
        and whoever may ask may ask often.
        """
        if now - self._rendered_at >= FRESH:
            self._rendered_at = now
            self._rendered = generate_latest(self.registry)
        return self._rendered

    def names(self) -> list[str]:
        """Return the names of all metrics, as they are rendered."""
        return sorted(
            family.name + ("_total" if family.type == "counter" else "")
            for family in self.registry.collect()
        )
