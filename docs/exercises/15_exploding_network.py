"""Chapter 7. Ten dense layers with ReLUs, each 256 wide. The numbers that come out are ten thousand million times as
large as those that go in. How large should the first weights be?
"""


def std(D):
    """The standard deviation of a layer's first weights, when D features go in and a ReLU comes behind."""
    return 1.0
