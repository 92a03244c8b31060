#pragma once

#include "engine/core/grad_out.h"
#include "engine/core/queue.h"

namespace kappa {

/// ε: the float32 machine epsilon, for every type.
constexpr double rms_norm_epsilon = 0x1p-23;

struct RmsNormExtents {
  int64_t rows, width;
};

/// x, y [rows, width]; inverse_rms [rows] gets r.
template <class In, class Out>
void rms_norm_forward(CpuQueue, RmsNormExtents n, const In* x, Out* y, Wide<Out>* inverse_rms);

template <class In, class Out>
struct RmsNormGradients {
  const In* kept;                // [rows, width] y if In is Out, else x
  const Wide<Out>* inverse_rms;  // [rows]
  const Out* dy;                 // [rows, width]
  GradOut<In> dx;                // [rows, width]
};
template <class In, class Out>
void rms_norm_backward(CpuQueue, RmsNormExtents n, const RmsNormGradients<In, Out>& d);

}  // namespace kappa
