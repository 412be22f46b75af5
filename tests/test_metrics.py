"""Counters and histograms are what Prometheus' own library would have rendered."""

from __future__ import annotations

import random

import prometheus_client
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from hub.metrics import AGES, SECONDS, Metrics


def samples(text: str) -> list[Sample]:
    """Return all samples of a page, in some order, without the times of creation."""
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sorted(
        (sample for sample in found if not sample.name.endswith("_created")),
        key=lambda sample: (sample.name, sorted(sample.labels.items())),
    )


def test_they_are_rendered_as_the_library_renders_its_own() -> None:
    """Names, labels, buckets, sums and counts agree, with labels and without, at each bound too."""
    mine, registry = Metrics(), prometheus_client.CollectorRegistry()
    losses = prometheus_client.Counter("hub_losses", "x", registry=registry)
    requests = prometheus_client.Counter(
        "hub_requests", "x", ["method", "route", "status"], registry=registry
    )
    cut = prometheus_client.Histogram(
        "hub_last_cut_seconds", "x", buckets=SECONDS, registry=registry
    )
    ages = prometheus_client.Histogram(
        "hub_signal_age_seconds", "x", ["channel", "sender"], buckets=AGES, registry=registry
    )
    dice = random.Random(1)  # noqa: S311 - any amounts
    for amount in [*SECONDS, *AGES, 0, 1e9, *(dice.expovariate(1) for _ in range(200))]:
        route, sender = dice.choice("abc"), dice.choice(('a "quoted"', "b\\c"))
        mine.losses.inc()
        losses.inc()
        mine.requests.inc("GET", route, "200", by=2)
        requests.labels("GET", route, "200").inc(2)
        mine.last_cut_seconds.observe(amount)
        cut.observe(amount)
        mine.signal_age.observe(amount, "ssf", sender)
        ages.labels("ssf", sender).observe(amount)
    theirs = samples(prometheus_client.generate_latest(registry).decode())
    names = {sample.name for sample in theirs}
    rendered = samples(mine.render(0).decode())
    assert [sample for sample in rendered if sample.name in names] == theirs


def test_what_has_no_labels_is_there_before_it_was_counted() -> None:
    """A rate can be computed from the first scrape on, since the first value is zero."""
    page = Metrics().render(0).decode()
    assert "\nhub_losses_total 0.0" in page
    assert "\nhub_last_cut_seconds_count 0.0" in page
    assert "hub_requests_total{" not in page
