def neuron(x, w, b, t):
    a = w * x
    z = a + b
    y = max(z, 0.0)
    r = y - t
    L = r**2

    dr = 2 * r
    dy = dr
    dz = dy if z > 0 else 0.0
    dw = dz * x
    db = dz
    dx = dz * w
    return L, dw, db, dx
