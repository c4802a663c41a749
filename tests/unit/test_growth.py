# SPDX-License-Identifier: GPL-2.0-or-later
"""The pure part of `python -m bench growth`: what is measured where, and how it is told."""

from __future__ import annotations

from bench import configurations, growth, resident
from bench.growth import MEMORY, RELOAD, UNITS, Point
from netpath.config import loads
from netpath.lab.plan import uplinks
from netpath.lab.uci import config


def test_every_axis_is_there_beside_the_least_of_the_other_and_no_point_twice() -> None:
    assert growth.grid((2, 8), (10, 100)) == [Point(2, 10), Point(8, 10), Point(2, 100)]


def test_a_curve_has_the_medians_of_its_own_axis_only_in_order() -> None:
    cells = [
        growth.cell(Point(8, 10), RELOAD, [0.3, 0.9, 0.5]),
        growth.cell(Point(2, 10), RELOAD, [0.1]),
        growth.cell(Point(2, 100), RELOAD, [0.2]),
        growth.cell(Point(2, 10), MEMORY, [20.0]),
    ]
    assert growth.curve(cells, RELOAD, "uplinks") == [(2, 0.1), (8, 0.5)]
    assert growth.curve(cells, RELOAD, "rules") == [(10, 0.1), (100, 0.2)]


def test_the_table_tells_extremes_only_where_there_are_any() -> None:
    point = Point(60, 10_000)
    cells = [growth.cell(point, measured, [1.0, 2.0, 4.0] if measured == RELOAD else [5.0]) for measured in UNITS]
    heading, _, row = growth.table(cells).splitlines()
    assert heading.count("|") == row.count("|") == len(UNITS) + 3
    assert row.startswith("| 60 | 10,000 | 5 | 2 (1-4) | 5 |")


def test_each_chart_draws_what_is_measured_and_all_of_it_is_drawn() -> None:
    assert sorted(measured for *_, drawn in growth.CHARTS.values() for measured in drawn) == sorted(UNITS)


def test_the_greatest_points_of_the_grid_are_configurations_without_a_problem() -> None:
    for point in (Point(max(growth.UPLINKS), 10), Point(2, 1000)):
        text = config(uplinks(resident.specs(point.uplinks)), rules=configurations.rules(point.rules, "all"))
        loaded = loads(text).config
        assert loaded is not None
        assert len(loaded.interfaces) == point.uplinks
        assert len(loaded.rules) == point.rules
