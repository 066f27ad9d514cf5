"""What a growth counts as."""

from __future__ import annotations

import pytest

from bench.growth import TARGET, Growth

SIZES = (1_000, 10_000, 100_000)


def test_noise_does_not_excuse_a_growth_above_the_target() -> None:
    noisy = Growth("noisy", SIZES, (10.0, 30.0, 14.0))
    slope, error = noisy.exponent()
    assert slope - error <= TARGET < slope
    document = noisy.document()
    assert document["reached"] is False
    assert document["standard_error"] == pytest.approx(error, abs=0.001)


def test_a_cost_that_stands_has_reached_it() -> None:
    assert Growth("flat", SIZES, (10.0, 11.0, 10.5)).document()["reached"] is True
