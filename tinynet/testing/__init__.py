"""Hypothesis strategies for tests of your own layers, losses and functions.

Raises ImportError if Hypothesis is missing. `import tinynet` imports neither this module nor Hypothesis.

This test checks a layer for any shape, dtype and memory layout. `gradcheck` is the fixture of tinynet's pytest plugin:

    import numpy as np
    import tinynet as tn
    from hypothesis import given
    from tinynet.testing import arrays, shapes

    @given(x=arrays(shapes(2, 2)))
    def test_gelu(x, gradcheck):
        gradcheck.layer(tn.GELU(), x)
        network = tn.Network(tn.GELU(), dtype=x.dtype)
        y = network.forward(x)
        assert y.dtype == x.dtype
        np.testing.assert_array_equal(y, network.forward(np.array(x, order="C")))
"""

from .strategies import LAYOUTS, arrays, dtypes, in_layout, layouts, shapes

__all__ = ["arrays", "shapes", "dtypes", "layouts", "in_layout", "LAYOUTS"]
