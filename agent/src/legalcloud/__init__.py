"""Storage appliance of the Hong Kong Legal Cloud."""

__version__ = "0.1.0"
