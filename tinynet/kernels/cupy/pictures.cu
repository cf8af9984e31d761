// Pictures on a GPU: pools and normalisation. x (N, C, rows, columns), y (N, C, down, across); fewer than 2^31 numbers.
//
// No number is written by two threads, and none is added to by atomics: every sum has one order. A sum over a whole
// channel is cut into slices, of every slices-th number each, so that neighbouring threads read neighbouring numbers;
// parts (C, slices) are what they find.

// where the k-th number of channel c is, counted through all pictures
__device__ int in_channel(int k, int c, int C, int pixels) {
    return (k / pixels * C + c) * pixels + k % pixels;
}

// ----------------------------------------------------------------------------------------------- pools

// the place, in its picture, of the largest of a window's numbers: the first of equal ones, a NaN before all
__device__ int largest(const real* window, int columns, int pool) {
    int best = 0;
    for (int p = 0; p < pool; p++)
        for (int q = 0; q < pool; q++) {
            real value = window[p * columns + q], top = window[best];
            if (value > top || (value != value && top == top)) best = p * columns + q;
        }
    return best;
}

extern "C" __global__ void max_pool2d(
    const real* x, real* y, int rows, int columns, int down, int across, int pool, long long size) {
    if (AT >= size) return;
    int j = (int)AT % across, i = (int)AT / across % down, channel = (int)AT / across / down;
    const real* window = x + (channel * rows + i * pool) * columns + j * pool;
    y[AT] = window[largest(window, columns, pool)];
}

// one thread, one number of dx, which looks for itself in its window
extern "C" __global__ void max_pool2d_backward(
    const real* dy, const real* x, real* dx, int rows, int columns, int down, int across, int pool, long long size) {
    if (AT >= size) return;
    int s = (int)AT % columns, r = (int)AT / columns % rows, channel = (int)AT / columns / rows;
    int i = r / pool, j = s / pool;
    dx[AT] = 0;
    if (i >= down || j >= across) return;
    int corner = (channel * rows + i * pool) * columns + j * pool;
    if (AT == corner + largest(x + corner, columns, pool)) dx[AT] = dy[(channel * down + i) * across + j];
}

extern "C" __global__ void average_pool2d(
    const real* x, real* y, int rows, int columns, int down, int across, int pool, long long size) {
    if (AT >= size) return;
    int j = (int)AT % across, i = (int)AT / across % down, channel = (int)AT / across / down;
    const real* window = x + (channel * rows + i * pool) * columns + j * pool;
    real total = 0;
    for (int p = 0; p < pool; p++)
        for (int q = 0; q < pool; q++) total += window[p * columns + q];
    y[AT] = total / (pool * pool);
}

extern "C" __global__ void average_pool2d_backward(
    const real* dy, real* dx, int rows, int columns, int down, int across, int pool, long long size) {
    if (AT >= size) return;
    int s = (int)AT % columns, r = (int)AT / columns % rows, channel = (int)AT / columns / rows;
    int i = r / pool, j = s / pool;
    dx[AT] = i < down && j < across ? dy[(channel * down + i) * across + j] / (pool * pool) : 0;
}

// --------------------------------------------------------------------------------------- normalisation

// one thread, one slice of a channel: scale times the sum of its numbers
extern "C" __global__ void channel_sums(
    const real* x, real* parts, int C, int pixels, int numbers, int slices, real scale, long long size) {
    if (AT >= size) return;
    int c = (int)AT / slices;
    real total = 0;
    for (int k = (int)AT % slices; k < numbers; k += slices) total += x[in_channel(k, c, C, pixels)];
    parts[AT] = scale * total;
}

extern "C" __global__ void channel_squares(
    const real* x, const real* mean, real* parts, int C, int pixels, int numbers, int slices, real scale,
    long long size) {
    if (AT >= size) return;
    int c = (int)AT / slices;
    real total = 0;
    for (int k = (int)AT % slices; k < numbers; k += slices) {
        real distance = x[in_channel(k, c, C, pixels)] - mean[c];
        total += distance * distance;
    }
    parts[AT] = scale * total;
}

extern "C" __global__ void batch_norm(
    const real* x, const real* gamma, const real* beta, const real* mean, const real* variance, real* y, int C,
    int pixels, real eps, long long size) {
    if (AT >= size) return;
    int c = (int)AT / pixels % C;
    y[AT] = gamma[c] * ((x[AT] - mean[c]) / sqrt(variance[c] + eps)) + beta[c];
}

// one thread, one slice of a channel: sums of dy x^, and behind all of these the sums of dy
extern "C" __global__ void batch_norm_sums(
    const real* dy, const real* x, const real* mean, const real* variance, real* parts, int C, int pixels,
    int numbers, int slices, real eps, long long size) {
    if (AT >= size) return;
    int c = (int)AT / slices;
    real products = 0, total = 0;
    for (int k = (int)AT % slices; k < numbers; k += slices) {
        int at = in_channel(k, c, C, pixels);
        products += dy[at] * (x[at] - mean[c]);
        total += dy[at];
    }
    parts[AT] = products / sqrt(variance[c] + eps);
    parts[size + AT] = total;
}

// sums (2, C) of dy x^ and of dy
extern "C" __global__ void batch_norm_backward(
    const real* dy, const real* x, const real* gamma, const real* mean, const real* variance, const real* sums,
    real* dx, int C, int pixels, int numbers, real eps, long long size) {
    if (AT >= size) return;
    int c = (int)AT / pixels % C;
    real deviation = sqrt(variance[c] + eps), normal = (x[AT] - mean[c]) / deviation;
    dx[AT] = gamma[c] * (dy[AT] - sums[C + c] / numbers - normal * sums[c] / numbers) / deviation;
}
