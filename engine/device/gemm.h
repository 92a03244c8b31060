#pragma once
// Matrix products on the CPU.
//
// A product is cut into tiles of C that depend on its shape alone; every tile is one single-threaded BLAS call over the whole of
// k. So the bits do not depend on the number of threads (a threaded BLAS gives other bits for other counts), and small products
// lose nothing to synchronisation inside the library. Products of at most four rows go another way (few_rows.h): a row has other
// bits in one of them than in a larger product.

#include "engine/core/grad_out.h"
#include "engine/core/queue.h"

namespace kappa {

/// C = op(A)·op(B) for every element of a batch; op transposes where asked. All matrices are row-major and contiguous.
struct GemmShape {
  int64_t m, n, k;           // op(A) is [m, k], op(B) [k, n], C [m, n]
  bool transpose_a = false;  // A is stored [k, m]
  bool transpose_b = false;  // B is stored [n, k]
  int64_t batch = 1;         // A [batch, …], B [batch, …], C [batch, m, n]
  /// [batch] Which matrix of B each of A meets, where that is not the one of its own number.
  const int32_t* b_of = nullptr;

  int64_t b_first(int64_t index) const { return (b_of ? b_of[index] : index) * k * n; }
};

/// c gets op(a)·op(b), or has it added, as the gradient contract says. Sums are carried in Wide<T>; C is rounded once.
/// T: double, float or bfloat16; C is of type T or Wide<T>.
template <class T, class C>
void gemm(CpuQueue, const GemmShape& shape, const T* a, const T* b, GradOut<C> c);

/// One product on the calling thread, with row strides: c[m, n] = α·op(a)·op(b) + β·c. W: double or float.
template <class W>
struct TileProduct {
  int64_t m, n, k;
  const W* a;
  int64_t a_stride;
  bool transpose_a;
  const W* b;
  int64_t b_stride;
  bool transpose_b;
  W* c;
  int64_t c_stride;
  W alpha = 1, beta = 0;
};
template <class W>
void multiply_tile(const TileProduct<W>& p);
/// The same by Eigen's kernels: what multiply_tile falls back on without a BLAS, and what the tests hold the BLAS against.
template <class W>
void multiply_tile_eigen(const TileProduct<W>& p);
/// The name and version of what multiply_tile calls.
const char* blas_name();
/// How many threads the library itself puts to a call of multiply_tile, where it has any: 1, except to measure it by itself.
void set_blas_threads(int count);

}  // namespace kappa
