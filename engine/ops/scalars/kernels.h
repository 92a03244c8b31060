#pragma once

#include "engine/core/grad_out.h"
#include "engine/core/queue.h"

namespace kappa {

/// mean x² in float64, in a fixed order.
template <class W>
double mean_of_squares(CpuQueue, int64_t n, const W* x);

template <class W>
void mean_square_forward(CpuQueue, int64_t n, const W* x, W* y);
template <class W>
void mean_square_backward(CpuQueue, int64_t n, const W* x, const W* dy, GradOut<W> dx);

template <class W>
void masked_mean_forward(CpuQueue, int64_t n, const W* values, const int32_t* targets, W* y);
template <class W>
void masked_mean_backward(CpuQueue, int64_t n, const int32_t* targets, const W* dy, GradOut<W> dvalues);

/// x[r·row_stride + u·unit_stride] stands at [r, u] of [rows, units].
template <class W>
struct Expansion {
  int64_t rows, units, row_stride, unit_stride;
  W factor;
  int64_t size() const { return (rows - 1) * row_stride + (units - 1) * unit_stride + 1; }  // elements of x
};
#define KAPPA_DECLARE(Queue)                                         \
  template <class W>                                                 \
  void expand_forward(Queue, const Expansion<W>&, const W* x, W* y); \
  template <class W>                                                 \
  void expand_backward(Queue, const Expansion<W>&, const W* dy, GradOut<W> dx);
KAPPA_ON_EVERY_QUEUE(KAPPA_DECLARE)
#undef KAPPA_DECLARE

}  // namespace kappa
