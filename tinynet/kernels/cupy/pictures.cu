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

// ---------------------------------------------------------------------------------------- convolutions
//
// A thread does PIXELS pixels of OUTPUTS channels, so that each number it reads is used more than once. Beyond the last
// channel it reads the last one again, and what it finds there is not written.

#define PIXELS 4
#define OUTPUTS 4

// where a picture has the number at row r, column s, if gap - 1 zeros stand between its numbers; -1 at a zero
__device__ int place(int r, int s, int rows, int columns, int gap) {
    if (r < 0 || s < 0 || r % gap || s % gap || r / gap >= rows || s / gap >= columns) return -1;
    return r / gap * columns + s / gap;
}

// y = W windows(x) + b, x with gap - 1 zeros between its numbers. From one channel of x to the next, weights are x_step
// apart, from one of y y_step; a window that is turned begins with its last weight
__device__ void convolve(
    const real* x, const real* W, const real* b, real* y, int C, int M, int rows, int columns, int down, int across,
    int window, int stride, int gap, int padding, int x_step, int y_step, bool turned) {
    int pixels = down * across, apart = (pixels + PIXELS - 1) / PIXELS, groups = (M + OUTPUTS - 1) / OUTPUTS;
    int first = (int)AT % apart, m = (int)AT / apart % groups * OUTPUTS, n = (int)AT / apart / groups;
    int steps[OUTPUTS];
    real sums[PIXELS][OUTPUTS];
    for (int o = 0; o < OUTPUTS; o++) {
        steps[o] = (m + o < M ? m + o : M - 1) * y_step;
        for (int k = 0; k < PIXELS; k++) sums[k][o] = b ? b[m + o < M ? m + o : M - 1] : 0;
    }
    x += n * C * rows * columns, y += (n * M + m) * pixels;
    for (int t = 0; t < window * window; t++) {
        int places[PIXELS];
        for (int k = 0; k < PIXELS; k++) {
            int r = (first + k * apart) / across * stride, s = (first + k * apart) % across * stride;
            places[k] = place(r + t / window - padding, s + t % window - padding, rows, columns, gap);
        }
        const real* weights = W + (turned ? window * window - 1 - t : t);
        for (int c = 0; c < C; c++) {
            real w[OUTPUTS];
            for (int o = 0; o < OUTPUTS; o++) w[o] = weights[c * x_step + steps[o]];
            for (int k = 0; k < PIXELS; k++) {
                real value = places[k] < 0 ? 0 : x[c * rows * columns + places[k]];
                for (int o = 0; o < OUTPUTS; o++) sums[k][o] += value * w[o];
            }
        }
    }
    for (int k = 0; k < PIXELS; k++)
        for (int o = 0; o < OUTPUTS; o++)
            if (first + k * apart < pixels && m + o < M) y[o * pixels + first + k * apart] = sums[k][o];
}

extern "C" __global__ void conv2d(
    const real* x, const real* W, const real* b, real* y, int C, int M, int rows, int columns, int down, int across,
    int window, int stride, int padding, long long size) {
    if (AT >= size) return;
    int weights = window * window;
    convolve(
        x, W, b, y, C, M, rows, columns, down, across, window, stride, 1, padding, weights, C * weights, false);
}

// a convolution too: of dy, with stride - 1 zeros between its numbers, by windows that are turned
extern "C" __global__ void conv2d_backward(
    const real* dy, const real* W, real* dx, int C, int M, int rows, int columns, int down, int across, int window,
    int stride, int padding, long long size) {
    if (AT >= size) return;
    int weights = window * window;
    convolve(
        dy, W, 0, dx, M, C, down, across, rows, columns, window, 1, stride, window - 1 - padding, C * weights, weights,
        true);
}

// one thread, one slice of all pixels of y: dW of OUTPUTS channels of y and INPUTS of x, at one place of the window
#define INPUTS 4
extern "C" __global__ void conv2d_backward_weights(
    const real* dy, const real* x, real* parts, int N, int C, int M, int rows, int columns, int down, int across,
    int window, int stride, int padding, int slices, long long size) {
    if (AT >= size) return;
    int slice = AT % slices, t = AT / slices % (window * window);
    int groups = (C + INPUTS - 1) / INPUTS, rest = AT / slices / (window * window);
    int c = rest % groups * INPUTS, m = rest / groups * OUTPUTS, pixels = down * across;
    real sums[OUTPUTS][INPUTS] = {};
    for (int k = slice; k < N * pixels; k += slices) {
        int n = k / pixels, r = k % pixels / across * stride, s = k % across * stride;
        int at = place(r + t / window - padding, s + t % window - padding, rows, columns, 1);
        if (at < 0) continue;
        real slopes[OUTPUTS];
        for (int o = 0; o < OUTPUTS; o++) slopes[o] = dy[(n * M + (m + o < M ? m + o : M - 1)) * pixels + k % pixels];
        for (int i = 0; i < INPUTS; i++) {
            real value = x[(n * C + (c + i < C ? c + i : C - 1)) * rows * columns + at];
            for (int o = 0; o < OUTPUTS; o++) sums[o][i] += slopes[o] * value;
        }
    }
    for (int o = 0; o < OUTPUTS; o++)
        for (int i = 0; i < INPUTS; i++)
            if (m + o < M && c + i < C)
                parts[(((m + o) * C + c + i) * window * window + t) * slices + slice] = sums[o][i];
}
