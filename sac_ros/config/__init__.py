"""Settings, their checks and their help texts."""
