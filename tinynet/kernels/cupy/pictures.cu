// Pictures on a GPU: pooling, normalization, convolutions. x (N, C, rows, columns), y (N, M, down, across), each with
// fewer than 2^30 numbers.
//
// No two threads write to the same number, and no sum uses atomics: every sum has a fixed order. A kernel that sums
// over all pictures has one block for each sum. The threads of the block share the numbers; neighboring threads read
// neighboring numbers.

// --------------------------------------------------------------------------------------------- pooling

// the index of a patch's largest number, relative to the patch: the first of equal ones; a NaN counts as the largest
__device__ int largest(const real* patch, int columns, int pool_size) {
    int best = 0;
    for (int p = 0; p < pool_size; p++)
        for (int q = 0; q < pool_size; q++) {
            real value = patch[p * columns + q], top = patch[best];
            if (value > top || (value != value && top == top)) best = p * columns + q;
        }
    return best;
}

extern "C" __global__ void max_pool2d(
    const real* x, real* y, int rows, int columns, int down, int across, int pool_size, long long size) {
    if (AT >= size) return;
    int j = (int)AT % across, i = (int)AT / across % down, channel = (int)AT / across / down;
    const real* patch = x + (channel * rows + i * pool_size) * columns + j * pool_size;
    y[AT] = patch[largest(patch, columns, pool_size)];
}

// one thread for each number of dx, which searches its whole patch for the largest
extern "C" __global__ void max_pool2d_backward(
    const real* dy, const real* x, real* dx, int rows, int columns, int down, int across, int pool_size,
    long long size) {
    if (AT >= size) return;
    int s = (int)AT % columns, r = (int)AT / columns % rows, channel = (int)AT / columns / rows;
    int i = r / pool_size, j = s / pool_size;
    dx[AT] = 0;
    if (i >= down || j >= across) return;
    int corner = (channel * rows + i * pool_size) * columns + j * pool_size;
    if (AT == corner + largest(x + corner, columns, pool_size)) dx[AT] = dy[(channel * down + i) * across + j];
}

extern "C" __global__ void average_pool2d(
    const real* x, real* y, int rows, int columns, int down, int across, int pool_size, long long size) {
    if (AT >= size) return;
    int j = (int)AT % across, i = (int)AT / across % down, channel = (int)AT / across / down;
    const real* patch = x + (channel * rows + i * pool_size) * columns + j * pool_size;
    real total = 0;
    for (int p = 0; p < pool_size; p++)
        for (int q = 0; q < pool_size; q++) total += patch[p * columns + q];
    y[AT] = total / (pool_size * pool_size);
}

extern "C" __global__ void average_pool2d_backward(
    const real* dy, real* dx, int rows, int columns, int down, int across, int pool_size, long long size) {
    if (AT >= size) return;
    int s = (int)AT % columns, r = (int)AT / columns % rows, channel = (int)AT / columns / rows;
    int i = r / pool_size, j = s / pool_size;
    dx[AT] = i < down && j < across ? dy[(channel * down + i) * across + j] / (pool_size * pool_size) : 0;
}

// --------------------------------------------------------------------------------------- normalization

// threads of a block that computes a sum
#define MAX_THREADS 1024

// the sum over a block of one number from each thread; `room` has an element for each thread
__device__ real block_sum(real number, real* room) {
    room[threadIdx.x] = number;
    for (int half = blockDim.x / 2; half; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) room[threadIdx.x] += room[threadIdx.x + half];
    }
    __syncthreads();
    number = room[0];
    __syncthreads();
    return number;
}

// call use(index) for each number of channel c, in all pictures, that belongs to this thread
template <class Use> __device__ void through_channel(int c, int C, int pixels, int numbers, Use use) {
    int pictures = blockDim.x / pixels, rest = blockDim.x % pixels, k = threadIdx.x % pixels;
    int at = (threadIdx.x / pixels * C + c) * pixels + k;
    for (int left = numbers - (int)threadIdx.x; left > 0; left -= blockDim.x) {
        use(at);
        at += pictures * C * pixels + rest, k += rest;
        if (k >= pixels) k -= pixels, at += (C - 1) * pixels;
    }
}

extern "C" __global__ void channel_sums(const real* x, real* sums, int C, int pixels, int numbers) {
    __shared__ real room[MAX_THREADS];
    real total = 0;
    through_channel(blockIdx.x, C, pixels, numbers, [&](int at) { total += x[at]; });
    total = block_sum(total, room);
    if (threadIdx.x == 0) sums[blockIdx.x] = total;
}

extern "C" __global__ void moments(const real* x, real* mean, real* variance, int C, int pixels, int numbers) {
    __shared__ real room[MAX_THREADS];
    real total = 0, squares = 0;
    through_channel(blockIdx.x, C, pixels, numbers, [&](int at) { total += x[at]; });
    real middle = block_sum(total, room) / numbers;
    through_channel(blockIdx.x, C, pixels, numbers, [&](int at) { squares += (x[at] - middle) * (x[at] - middle); });
    squares = block_sum(squares, room);
    if (threadIdx.x == 0) mean[blockIdx.x] = middle, variance[blockIdx.x] = squares / numbers;
}

extern "C" __global__ void batch_norm(
    const real* x, const real* gamma, const real* beta, const real* mean, const real* variance, real* y, int C,
    int pixels, real eps, long long size) {
    if (AT >= size) return;
    int c = (int)AT / pixels % C;
    y[AT] = gamma[c] * ((x[AT] - mean[c]) / sqrt(variance[c] + eps)) + beta[c];
}

// dgamma = sum of dy x^, dbeta = sum of dy
extern "C" __global__ void batch_norm_sums(
    const real* dy, const real* x, const real* mean, const real* variance, real* dgamma, real* dbeta, int C,
    int pixels, int numbers, real eps) {
    __shared__ real room[MAX_THREADS];
    int c = blockIdx.x;
    real products = 0, total = 0, middle = mean[c];
    through_channel(c, C, pixels, numbers, [&](int at) {
        products += dy[at] * (x[at] - middle);
        total += dy[at];
    });
    products = block_sum(products, room) / sqrt(variance[c] + eps);
    total = block_sum(total, room);
    if (threadIdx.x == 0) dgamma[c] = products, dbeta[c] = total;
}

extern "C" __global__ void batch_norm_backward(
    const real* dy, const real* x, const real* gamma, const real* mean, const real* variance, const real* dgamma,
    const real* dbeta, real* dx, int C, int pixels, int numbers, real eps, long long size) {
    if (AT >= size) return;
    int c = (int)AT / pixels % C;
    real deviation = sqrt(variance[c] + eps), x_hat = (x[AT] - mean[c]) / deviation;
    dx[AT] = gamma[c] * (dy[AT] - dbeta[c] / numbers - x_hat * dgamma[c] / numbers) / deviation;
}

// ---------------------------------------------------------------------------------------- convolutions
//
// A thread computes PIXELS pixels of OUTPUTS channels, so that it uses each number that it reads several times. Beyond
// the last channel it reads the last one again, and does not write the results.

#define PIXELS 4
#define OUTPUTS 8

// the index of row r, column s in a picture that has gap - 1 zeros between its numbers; -1 at a zero
__device__ int index_of(int r, int s, int rows, int columns, int gap) {
    if (r < 0 || s < 0 || r % gap || s % gap || r / gap >= rows || s / gap >= columns) return -1;
    return r / gap * columns + s / gap;
}

// y = W patches(x) + b, x with gap - 1 zeros between its numbers. The weights of neighboring channels of x are x_step
// apart, those of neighboring channels of y y_step. A rotated kernel starts with its last weight
__device__ void convolve(
    const real* x, const real* W, const real* b, real* y, int C, int M, int rows, int columns, int down, int across,
    int kernel_size, int stride, int gap, int padding, int x_step, int y_step, bool rotated) {
    int pixels = down * across, apart = (pixels + PIXELS - 1) / PIXELS, groups = (M + OUTPUTS - 1) / OUTPUTS;
    int first = (int)AT % apart, m = (int)AT / apart % groups * OUTPUTS, n = (int)AT / apart / groups;
    int steps[OUTPUTS];
    real sums[PIXELS][OUTPUTS];
    for (int o = 0; o < OUTPUTS; o++) {
        steps[o] = (m + o < M ? m + o : M - 1) * y_step;
        for (int k = 0; k < PIXELS; k++) sums[k][o] = b ? b[m + o < M ? m + o : M - 1] : 0;
    }
    x += n * C * rows * columns, y += (n * M + m) * pixels;
    for (int t = 0; t < kernel_size * kernel_size; t++) {
        int indices[PIXELS];
        for (int k = 0; k < PIXELS; k++) {
            int r = (first + k * apart) / across * stride, s = (first + k * apart) % across * stride;
            indices[k] = index_of(r + t / kernel_size - padding, s + t % kernel_size - padding, rows, columns, gap);
        }
        const real* weights = W + (rotated ? kernel_size * kernel_size - 1 - t : t);
        for (int c = 0; c < C; c++) {
            real w[OUTPUTS];
            for (int o = 0; o < OUTPUTS; o++) w[o] = weights[c * x_step + steps[o]];
            for (int k = 0; k < PIXELS; k++) {
                real value = indices[k] < 0 ? 0 : x[c * rows * columns + indices[k]];
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
    int kernel_size, int stride, int padding, long long size) {
    if (AT >= size) return;
    int weights = kernel_size * kernel_size;
    convolve(
        x, W, b, y, C, M, rows, columns, down, across, kernel_size, stride, 1, padding, weights, C * weights, false);
}

// the convolution of dy, with stride - 1 zeros between its numbers, with the rotated kernel
extern "C" __global__ void conv2d_backward(
    const real* dy, const real* W, real* dx, int C, int M, int rows, int columns, int down, int across,
    int kernel_size, int stride, int padding, long long size) {
    if (AT >= size) return;
    int weights = kernel_size * kernel_size;
    convolve(
        dy, W, 0, dx, M, C, down, across, rows, columns, kernel_size, 1, stride, kernel_size - 1 - padding, C * weights,
        weights, true);
}

// one block: dW of TILE channels of y and TILE channels of x at one position of the kernel; its threads share y's pixels
#define TILE 4
#define THREADS 256
extern "C" __global__ void conv2d_backward_weights(
    const real* dy, const real* x, real* dW, int N, int C, int M, int rows, int columns, int down, int across,
    int kernel_size, int stride, int padding) {
    __shared__ real room[TILE * TILE][THREADS];
    int weights = kernel_size * kernel_size, t = blockIdx.x % weights;
    int groups = (C + TILE - 1) / TILE, pixels = down * across;
    int c = blockIdx.x / weights % groups * TILE, m = blockIdx.x / weights / groups * TILE;
    int n = threadIdx.x / pixels, i = threadIdx.x % pixels / across, j = threadIdx.x % pixels % across;
    int more_n = blockDim.x / pixels, more_i = blockDim.x % pixels / across, more_j = blockDim.x % pixels % across;
    real sums[TILE][TILE] = {};
    while (n < N) {
        int r = i * stride + t / kernel_size - padding, s = j * stride + t % kernel_size - padding;
        int at = index_of(r, s, rows, columns, 1);
        real dy_values[TILE];
        for (int o = 0; o < TILE; o++)
            dy_values[o] = dy[(n * M + (m + o < M ? m + o : M - 1)) * pixels + i * across + j];
        for (int h = 0; h < TILE; h++) {
            real value = at < 0 ? 0 : x[(n * C + (c + h < C ? c + h : C - 1)) * rows * columns + at];
            for (int o = 0; o < TILE; o++) sums[o][h] += dy_values[o] * value;
        }
        j += more_j, i += more_i, n += more_n;
        if (j >= across) j -= across, i++;
        if (i >= down) i -= down, n++;
    }
    for (int v = 0; v < TILE * TILE; v++) room[v][threadIdx.x] = sums[v / TILE][v % TILE];
    for (int half = THREADS / 2; half; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half)
            for (int v = 0; v < TILE * TILE; v++) room[v][threadIdx.x] += room[v][threadIdx.x + half];
    }
    __syncthreads();
    int o = threadIdx.x / TILE, h = threadIdx.x % TILE;
    if (o < TILE && m + o < M && c + h < C) dW[((m + o) * C + c + h) * weights + t] = room[threadIdx.x][0];
}
