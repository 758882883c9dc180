"""Soft Actor-Critic for torque-controlled arms: learn, keep every sample, export, drive."""

__version__ = '0.1.0'
