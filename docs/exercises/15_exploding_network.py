"""Chapter 7. Ten dense layers with ReLUs, each 256 wide. Their outputs are ten billion times as large as their inputs.
What should the scale of the initial weights be?
"""


def std(D):
    """Return the standard deviation of the initial weights of a layer with D inputs, followed by a ReLU."""
    return 1.0
