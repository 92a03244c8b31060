// Element by element on the GPU: bound by memory.

#include "engine/device/cuda_elementwise.h"
#include "engine/memory/scratch.h"
#include "engine/ops/elementwise/kernels.h"

namespace kappa {
namespace {

constexpr int threads = 256, warps = threads / warp_lanes;

template <class Op, class T>
struct Apply {
  const T *a, *b;
  GradOut<T> out;

  template <int width>
  __device__ void at(int64_t i) const {
    const auto x = load_pack<width>(a + i), y = load_pack<width>(b + i);
    Wide<T> values[width];
    for (int j = 0; j < width; ++j) values[j] = Op::of(Wide<T>(x[j]), Wide<T>(y[j]));
    put_pack<width>(out, i, values);
  }
};

template <class Op, class T>
void apply(const char* name, GridQueue queue, int64_t n, const T* a, const T* b, GradOut<T> out) {
  if (out) launch_elementwise<pack_width<T>>(name, queue, n, in_packs<T>(0, a, b, out.data), Apply<Op, T>{a, b, out});
}

template <class A, class B>
struct Add {
  const A* a;
  const B* b;
  A* y;

  template <int width>
  __device__ void at(int64_t i) const {
    const auto left = load_pack<width>(a + i);
    const auto right = load_pack<width>(b + i);
    Pack<A, width> sum;
    for (int j = 0; j < width; ++j) sum[j] = A(Wide<A>(left[j]) + Wide<A>(right[j]));
    store_pack(y + i, sum);
  }
};

/// out gets factor·from; a null factor is 1.
template <class A, class B>
struct Scale {
  const A* from;
  const Wide<A>* factor;
  GradOut<B> out;

  template <int width>
  __device__ void at(int64_t i) const {
    const Wide<A> f = factor ? *factor : Wide<A>(1);
    const auto x = load_pack<width>(from + i);
    Wide<B> values[width];
    for (int j = 0; j < width; ++j) values[j] = f * Wide<A>(x[j]);
    put_pack<width>(out, i, values);
  }
};

template <class T>
struct Mix {
  const T *x, *x0;
  const Wide<T>*alpha, *beta;
  T* y;

  template <int width>
  __device__ void at(int64_t i) const {
    const auto left = load_pack<width>(x + i), right = load_pack<width>(x0 + i);
    Pack<T, width> sum;
    for (int j = 0; j < width; ++j) sum[j] = T(*alpha * Wide<T>(left[j]) + *beta * Wide<T>(right[j]));
    store_pack(y + i, sum);
  }
};

constexpr int64_t dot_block = 8192;  // elements whose products a block adds up

struct WarpSums {
  double values[warps];
};

/// parts[block] = Σ a·b over the block's elements.
template <class T>
__global__ void __launch_bounds__(threads) dot_kernel(int64_t n, const T* a, const T* b, double* parts) {
  const int64_t first = blockIdx.x * dot_block, end = first + dot_block < n ? first + dot_block : n;
  double sum = 0;
  for (int64_t i = first + threadIdx.x; i < end; i += threads) sum += double(Wide<T>(a[i])) * double(Wide<T>(b[i]));
  sum = warp_sum(sum);
  WarpSums& sums = shared<WarpSums>();
  if (threadIdx.x % warp_lanes == 0) sums.values[threadIdx.x / warp_lanes] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int w = 1; w < warps; ++w) sum += sums.values[w];
  parts[blockIdx.x] = sum;
}

template <class W>
__global__ void finish_kernel(const double* parts, int64_t blocks, GradOut<W> out) {
  const double sum = sum_of_parts(parts, blocks);
  if (threadIdx.x == 0) out.put(0, W(sum));
}

}  // namespace

template <class A, class B>
void add_forward(GridQueue queue, int64_t n, const A* a, const B* b, A* y) {
  launch_elementwise<pack_width<A>>("add", queue, n, in_packs<A>(0, a, b, y), Add<A, B>{a, b, y});
}
template <class T>
void multiply_forward(GridQueue queue, int64_t n, const T* a, const T* b, T* y) {
  apply<Product>("multiply", queue, n, a, b, GradOut<T>{y});
}
template <class T>
void relu_squared_forward(GridQueue queue, int64_t n, const T* x, T* y) {
  apply<ReluSquared>("relu_squared", queue, n, x, x, GradOut<T>{y});
}
template <class T>
void mix_forward(GridQueue queue, int64_t n, const T* x, const T* x0, const Wide<T>* alpha, const Wide<T>* beta, T* y) {
  launch_elementwise<pack_width<T>>("mix", queue, n, in_packs<T>(0, x, x0, y), Mix<T>{x, x0, alpha, beta, y});
}

template <class A, class B>
void pass_backward(GridQueue queue, int64_t n, const A* dy, GradOut<B> out) {
  if (out)
    launch_elementwise<pack_width<A>>("pass_backward", queue, n, in_packs<A>(0, dy, out.data), Scale<A, B>{dy, nullptr, out});
}
template <class T>
void multiply_backward(GridQueue queue, int64_t n, const T* dy, const T* other, GradOut<T> out) {
  apply<Product>("multiply_backward", queue, n, dy, other, out);
}
template <class T>
void relu_squared_backward(GridQueue queue, int64_t n, const T* dy, const T* x, GradOut<T> out) {
  apply<ReluSquaredGradient>("relu_squared_backward", queue, n, dy, x, out);
}
template <class T>
void mix_backward(GridQueue queue, int64_t n, const T* dy, const T* x, const Wide<T>* factor, GradOut<T> out,
                  GradOut<Wide<T>> factor_out) {
  if (factor_out) {
    const unsigned blocks = blocks_for(n, dot_block);
    const Scratch<double> parts(queue, blocks);
    double* const part = parts;
    launch("mix_dot", dot_kernel<T>, {blocks, threads}, queue, n, dy, x, part);
    launch("mix_dot_sum", finish_kernel<Wide<T>>, {1, warp_lanes}, queue, part, int64_t(blocks), factor_out);
  }
  if (out)
    launch_elementwise<pack_width<T>>("mix_backward", queue, n, in_packs<T>(0, dy, out.data), Scale<T, T>{dy, factor, out});
}

#define KAPPA_INSTANTIATE(T)                                                                             \
  template void multiply_forward(GridQueue, int64_t, const T*, const T*, T*);                            \
  template void relu_squared_forward(GridQueue, int64_t, const T*, T*);                                  \
  template void mix_forward(GridQueue, int64_t, const T*, const T*, const Wide<T>*, const Wide<T>*, T*); \
  template void multiply_backward(GridQueue, int64_t, const T*, const T*, GradOut<T>);                   \
  template void relu_squared_backward(GridQueue, int64_t, const T*, const T*, GradOut<T>);               \
  template void mix_backward(GridQueue, int64_t, const T*, const T*, const Wide<T>*, GradOut<T>, GradOut<Wide<T>>);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)
KAPPA_INSTANTIATE(bfloat16)

#define KAPPA_INSTANTIATE_ADD(A, B)                                      \
  template void add_forward(GridQueue, int64_t, const A*, const B*, A*); \
  template void pass_backward(GridQueue, int64_t, const A*, GradOut<B>);
KAPPA_INSTANTIATE_ADD(double, double)
KAPPA_INSTANTIATE_ADD(float, float)
KAPPA_INSTANTIATE_ADD(bfloat16, bfloat16)
KAPPA_INSTANTIATE_ADD(float, bfloat16)

}  // namespace kappa
