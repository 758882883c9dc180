"""Robots and tasks as Gymnasium environments."""
