"""Chapter 11. Two networks, several seeds each: how far apart are their mean accuracies, and how large is the standard
error of that difference? The spread of each may be different, and so may the number of runs.
"""


def difference(a, b):
    """a and b: arrays of accuracies -> the difference of their means (b less a), and its standard error"""
    return ..., ...
