#pragma once

#include "engine/core/grad_out.h"
#include "engine/core/queue.h"

namespace kappa {

constexpr double logit_cap = 15;  // s

/// Some rows of logits and what belongs to them.
template <class W>
struct LogitRows {
  int64_t rows, vocabulary;
  W* logits;               // [rows, V]
  const int32_t* targets;  // [rows]
  W* log_sums;             // [rows] ln Σ e^y
};

/// z becomes y = s·tanh(z/s).
template <class W>
void softcap(CpuQueue, int64_t n, W* z);
/// Log-sums and losses [rows] of capped logits.
template <class W>
void softmax_losses(CpuQueue, const LogitRows<W>&, W* losses);
/// Capped logits become dz, written as T to `dz` [rows, V], which may be the same memory where T is W.
template <class T>
void softmax_gradients(CpuQueue, const LogitRows<Wide<T>>&, const Wide<T>* dlosses, T* dz);

}  // namespace kappa
