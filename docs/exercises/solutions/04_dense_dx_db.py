def dense_dx(dy, W):
    return dy @ W.T


def dense_db(dy):
    return dy.sum(axis=0, keepdims=True)
