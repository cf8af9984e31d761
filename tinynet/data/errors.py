"""The error that all readers of data files raise."""


class DataError(ValueError):
    """The ValueError for a data file that cannot be used. It names the file, the position, the cause and the fix."""
