"""The plot of a course shows every measured lesion, also where a sum of diameters cannot be given."""

from __future__ import annotations

from response_courses import course, lesion

from oncotrack.report.response_plots import plot_course
from oncotrack.response.result import respond


def test_lesions_are_in_sight_where_the_sum_is_not_evaluable():
    axes = plot_course(respond(course(lesion("L1", 50, 40), lesion("L2", None, None)))).axes[0]
    assert [line.get_label() for line in axes.get_lines()] == ["L1"]
    assert axes.get_ylim()[1] > 50
