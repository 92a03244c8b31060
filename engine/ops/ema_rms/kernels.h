#pragma once

#include "engine/core/grad_out.h"
#include "engine/core/queue.h"

namespace kappa {

constexpr double rms_epsilon = 1e-12;

template <class W>
struct KeeperState {
  W *ema, *target;               // [1]
  int32_t *initialized, *ready;  // [1]
};

/// Gives r, after the keeper has seen it.
template <class W>
W keeper_advance(CpuQueue, const KeeperState<W>&, int64_t n, const W* x, W beta, bool collecting);

template <class W>
struct RmsFloor {
  int64_t n;
  const W* x;  // [n]
  KeeperState<W> keeper;
  W fraction;
};
template <class W>
void rms_floor_forward(CpuQueue, const RmsFloor<W>&, W* y);
template <class W>
void rms_floor_backward(CpuQueue, const RmsFloor<W>&, const W* dy, GradOut<W> dx);

}  // namespace kappa
