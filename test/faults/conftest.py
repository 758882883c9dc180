"""Fixtures for tests over DDS."""

from ros_graph import domain, graph, make_graph  # noqa: F401
