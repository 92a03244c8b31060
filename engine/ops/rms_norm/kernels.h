#pragma once

#include "engine/core/grad_out.h"
#include "engine/device/queue.h"

namespace kappa {

struct RmsNormExtents {
  int64_t rows, width;
};

/// x, y [rows, width]; inverse_rms [rows] gets r.
template <class T>
void rms_norm_forward(CpuQueue, RmsNormExtents n, const T* x, T* y, Wide<T>* inverse_rms);

template <class T>
struct RmsNormGradients {
  const T* y;                  // [rows, width]
  const Wide<T>* inverse_rms;  // [rows]
  const T* dy;                 // [rows, width]
  GradOut<T> dx;               // [rows, width]
};
template <class T>
void rms_norm_backward(CpuQueue, RmsNormExtents n, const RmsNormGradients<T>& d);

}  // namespace kappa
