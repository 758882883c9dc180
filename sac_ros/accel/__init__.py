"""Faster updates; training works without this package."""
