// The functions of functions.py on a GPU, and the parts of a whole training step (steps.py defines their order).
//
// The file is compiled twice, with real = float and real = double. A thread computes one number, unless the kernel says
// otherwise; threads beyond `size` do nothing. Arrays are C-contiguous: N rows in a batch, D or M features, K classes.

#define AT (blockIdx.x * (long long)blockDim.x + threadIdx.x)

typedef unsigned int word;
typedef unsigned long long word64;

// rng.random_bits at one position
__device__ word random_bits(word position, word key0, word key1) {
    word bits = position ^ key0;
    bits = (bits ^ (bits >> 16)) * 0x7FEB352Du + key1;
    bits = (bits ^ (bits >> 15)) * 0x846CA68Bu;
    return bits ^ (bits >> 16);
}

// rng.fold_in, both words in one
__device__ word64 fold_in(word64 key, word64 counter) {
    word64 bits = key + (counter + 1) * 0x9E3779B97F4A7C15ull;
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9ull;
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBull;
    return bits ^ (bits >> 31);
}

// ------------------------------------------------------------------------------------------- functions

extern "C" __global__ void add_bias(real* y, const real* b, int M, long long size) {
    if (AT < size) y[AT] += b[AT % M];
}

// a NaN stays NaN: it is not below zero
extern "C" __global__ void relu(const real* x, real* y, long long size) {
    if (AT < size) y[AT] = x[AT] <= 0 ? 0 : x[AT];
}

extern "C" __global__ void relu_backward(const real* dy, const real* y, real* dx, long long size) {
    if (AT < size) dx[AT] = y[AT] > 0 ? dy[AT] : 0;
}

// P(x), the probability that a normal number is below x
__device__ real normal_cdf(real x) {
    return (1 + erf(x * (real)0.70710678118654752)) / 2;
}

extern "C" __global__ void gelu(const real* x, real* y, long long size) {
    if (AT < size) y[AT] = x[AT] * normal_cdf(x[AT]);
}

extern "C" __global__ void gelu_backward(const real* dy, const real* x, real* dx, long long size) {
    if (AT >= size) return;
    real density = exp(-x[AT] * x[AT] / 2) * (real)0.39894228040143268;
    dx[AT] = dy[AT] * (normal_cdf(x[AT]) + x[AT] * density);
}

extern "C" __global__ void dropout(
    const real* x, real* y, real* mask, word key0, word key1, word first, word64 threshold, real scale,
    long long size) {
    if (AT >= size) return;
    mask[AT] = random_bits(first + (word)AT, key0, key1) >= threshold ? scale : 0;
    y[AT] = x[AT] * mask[AT];
}

// one thread for each row: probabilities, and the loss of the row
extern "C" __global__ void softmax_cross_entropy(
    const real* z, const real* t, real* p, real* row_loss, int K, long long size) {
    if (AT >= size) return;
    z += AT * K, t += AT * K, p += AT * K;
    real top = z[0], sum_e = 0, sum_tz = 0;
    for (int k = 1; k < K; k++) top = z[k] > top ? z[k] : top;
    for (int k = 0; k < K; k++) {
        p[k] = exp(z[k] - top);
        sum_e += p[k];
        sum_tz += t[k] * (z[k] - top);
    }
    for (int k = 0; k < K; k++) p[k] /= sum_e;
    row_loss[AT] = log(sum_e) - sum_tz;
}

// one thread for each row: 1 if z and t have their maximum at the same index
extern "C" __global__ void count_correct(const real* z, const real* t, unsigned char* correct, int K, long long size) {
    if (AT >= size) return;
    z += AT * K, t += AT * K;
    int answer = 0, truth = 0;
    for (int k = 1; k < K; k++) {
        answer = z[k] > z[answer] ? k : answer;
        truth = t[k] > t[truth] ? k : truth;
    }
    correct[AT] = answer == truth;
}

extern "C" __global__ void sgd(
    real* theta, const real* grad, real* velocity, real lr, real momentum, int nesterov, long long size) {
    if (AT >= size) return;
    velocity[AT] = momentum * velocity[AT] + grad[AT];
    theta[AT] -= lr * (nesterov ? grad[AT] + momentum * velocity[AT] : velocity[AT]);
}

// rate = lr sqrt(1 - beta2^step) / (1 - beta1^step), eps = the paper's times sqrt(1 - beta2^step). The betas are
// doubles, because in float32 1 - 0.999 is wrong in the fifth digit
__device__ void adam_rule(real* theta, real g, real* m, real* v, real rate, double beta1, double beta2, real eps) {
    *m = (real)beta1 * *m + (real)(1 - beta1) * g;
    *v = (real)beta2 * *v + (real)(1 - beta2) * g * g;
    *theta -= rate * *m / (sqrt(*v) + eps);
}

extern "C" __global__ void adam(
    real* theta, const real* grad, real* m, real* v, real rate, double beta1, double beta2, real eps, long long size) {
    if (AT < size) adam_rule(theta + AT, grad[AT], m + AT, v + AT, rate, beta1, beta2, eps);
}

extern "C" __global__ void gather_pixels(
    const unsigned char* x, const long long* index, real* y, int D, long long size) {
    if (AT < size) y[AT] = (real)x[index[AT / D] * D + AT % D] * (real)(1. / 255);
}

extern "C" __global__ void gather_rows(const real* x, const long long* index, real* y, int D, long long size) {
    if (AT < size) y[AT] = x[index[AT / D] * D + AT % D];
}

// ------------------------------------------------------------------------------------ a training step
//
// A captured step gets no arguments from the host. The numbers that change from step to step are in the clock, which
// the first kernel of each step increments: clock[0] is the step's number in this epoch, clock[1] the optimizer's step
// count, clock[2 + k] the counter of the dropout before Dense k.

// one thread: the keys of the dropouts, and factors = {rate, eps, part of theta that weight decay leaves}; beta1 < 0
// means SGD
extern "C" __global__ void begin_step(
    long long* clock, const word64* random_keys, word* keys, const double* rates, real* factors, int dropouts,
    double beta1, double beta2, double eps, double decay, long long size) {
    if (AT >= size) return;
    double lr = rates[++clock[0]];
    double step = ++clock[1];
    for (int k = 0; k < dropouts; k++) {
        word64 key = fold_in(random_keys[k], clock[2 + k]++);
        keys[2 * k] = key >> 32;
        keys[2 * k + 1] = (word)key;
    }
    double root = beta1 < 0 ? 1 : sqrt(1 - pow(beta2, step));
    factors[0] = beta1 < 0 ? lr : lr / (1 - pow(beta1, step)) * root;
    factors[1] = eps * root;
    factors[2] = 1 - lr * decay;
}

// the rows of this step in the order of the epoch, scaled, and the dropout before the first Dense
extern "C" __global__ void gather_pixels_step(
    const unsigned char* x, const long long* order, const long long* clock, real* y, int D, int batch,
    const word* keys, word64 threshold, real scale, long long size) {
    if (AT >= size) return;
    long long row = order[clock[0] * batch + AT / D];
    real mask = !threshold ? 1 : random_bits((word)AT, keys[0], keys[1]) >= threshold ? scale : 0;
    y[AT] = (real)x[row * D + AT % D] * (real)(1. / 255) * mask;
}

extern "C" __global__ void gather_rows_step(
    const real* x, const long long* order, const long long* clock, real* y, int D, int batch,
    const word* keys, word64 threshold, real scale, long long size) {
    if (AT >= size) return;
    long long row = order[clock[0] * batch + AT / D];
    real mask = !threshold ? 1 : random_bits((word)AT, keys[0], keys[1]) >= threshold ? scale : 0;
    y[AT] = x[row * D + AT % D] * mask;
}

// bias, ReLU and the dropout after it, in place
extern "C" __global__ void bias_relu_dropout(
    real* z, const real* b, int M, const word* keys, word64 threshold, real scale, long long size) {
    if (AT >= size) return;
    real y = z[AT] + b[AT % M];
    y = y <= 0 ? 0 : y;
    if (threshold) y *= random_bits((word)AT, keys[0], keys[1]) >= threshold ? scale : 0;
    z[AT] = y;
}

// one thread for each row: the last bias, and dz, which replaces z. Loss and correctness are stored at the row's own
// position in the epoch: no two threads add to the same number, so the sums are the same in every run
extern "C" __global__ void loss_step(
    real* z, const real* b, const real* t, const long long* order, const long long* clock,
    real* row_loss, unsigned char* row_correct, int K, int batch, long long size) {
    if (AT >= size) return;
    long long position = clock[0] * batch + AT;
    z += AT * K, t += order[position] * K;
    int answer = 0, truth = 0;
    for (int k = 0; k < K; k++) {
        z[k] += b[k];
        answer = z[k] > z[answer] ? k : answer;
        truth = t[k] > t[truth] ? k : truth;
    }
    real top = z[answer], sum_e = 0, sum_tz = 0;
    for (int k = 0; k < K; k++) {
        sum_tz += t[k] * (z[k] - top);
        z[k] = exp(z[k] - top);
        sum_e += z[k];
    }
    for (int k = 0; k < K; k++) z[k] = (z[k] / sum_e - t[k]) / size;
    row_loss[position] = log(sum_e) - sum_tz;
    row_correct[position] = answer == truth;
}

// ReLU and dropout let a number through where h > 0
extern "C" __global__ void relu_dropout_backward(real* dh, const real* h, real scale, long long size) {
    if (AT < size) dh[AT] = h[AT] > 0 ? dh[AT] * scale : 0;
}

// one thread for each column
extern "C" __global__ void sum_rows(const real* dy, real* db, int N, long long size) {
    if (AT >= size) return;
    real total = 0;
    for (int n = 0; n < N; n++) total += dy[n * size + AT];
    db[AT] = total;
}

// the sum of squares of every size-th number, in one thread
extern "C" __global__ void sum_squares(const real* grad, double* sums, long long numbers, long long size) {
    if (AT >= size) return;
    double total = 0;
    for (long long k = AT; k < numbers; k += size) total += (double)grad[k] * grad[k];
    sums[AT] = total;
}

// one thread: factors[3], which scales a gradient to the norm `largest` if its norm is larger; a NaN stays NaN
extern "C" __global__ void clip_factor(const double* sums, real* factors, int count, double largest, long long size) {
    if (AT >= size) return;
    double total = 0;
    for (int k = 0; k < count; k++) total += sums[k];
    double norm = sqrt(total);
    factors[3] = norm <= largest ? 1 : largest / norm;
}

extern "C" __global__ void scale_gradient(real* grad, const real* factors, long long size) {
    if (AT < size) grad[AT] *= factors[3];
}

extern "C" __global__ void adam_step(
    real* theta, const real* grad, real* m, real* v, const real* factors, double beta1, double beta2, long long size) {
    if (AT >= size) return;
    theta[AT] *= factors[2];
    adam_rule(theta + AT, grad[AT], m + AT, v + AT, factors[0], beta1, beta2, factors[1]);
}

extern "C" __global__ void sgd_step(
    real* theta, const real* grad, real* velocity, const real* factors, real momentum, int nesterov, long long size) {
    if (AT >= size) return;
    velocity[AT] = momentum * velocity[AT] + grad[AT];
    theta[AT] = theta[AT] * factors[2] - factors[0] * (nesterov ? grad[AT] + momentum * velocity[AT] : velocity[AT]);
}
