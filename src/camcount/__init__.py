"""camcount turns camera video into counts that people can trust."""

__version__ = "0.1.0"
