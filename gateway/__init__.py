"""A gateway that lets every client talk to every model."""

__version__ = "0.1.0"
