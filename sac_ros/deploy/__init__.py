"""Policies and guards without torch, MuJoCo and ROS."""
