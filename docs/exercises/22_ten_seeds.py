"""Chapter 11. Two networks, several seeds each: how far apart are their mean accuracies, and what is the standard error
of that difference? The two may differ in their spread and in their number of runs.
"""


def difference(a, b):
    """a and b: arrays of accuracies -> the difference of their means (b minus a), and its standard error"""
    return ..., ...
