"""The error that all readers of data files raise."""


class DataError(ValueError):
    """Raised if a data file cannot be used. The message names the file, the position, the cause and the fix."""
