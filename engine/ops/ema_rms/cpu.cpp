#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/device/thread_pool.h"
#include "engine/ops/ema_rms/kernels.h"
#include "engine/ops/scalars/kernels.h"

namespace kappa {
namespace {

template <class W>
W root_mean_square(CpuQueue queue, int64_t n, const W* x) {
  return W(std::sqrt(mean_of_squares(queue, n, x) + rms_epsilon));
}

/// What is missing below the floor, and r.
template <class W>
std::pair<W, W> below_floor(CpuQueue queue, const RmsFloor<W>& v) {
  if (!*v.keeper.ready) return {W(0), W(1)};
  const W r = root_mean_square(queue, v.n, v.x);
  return {std::max(W(0), v.fraction * *v.keeper.target - r), r};
}

}  // namespace

template <class W>
W keeper_advance(CpuQueue queue, const KeeperState<W>& keeper, int64_t n, const W* x, W beta, bool collecting) {
  const W r = root_mean_square(queue, n, x);
  *keeper.ema = *keeper.initialized ? beta * *keeper.ema + (1 - beta) * r : r;
  *keeper.initialized = 1;
  if (collecting) *keeper.target = *keeper.ema, *keeper.ready = 1;
  return r;
}

template <class W>
void rms_floor_forward(CpuQueue queue, const RmsFloor<W>& v, W* y) {
  const W missing = below_floor(queue, v).first;
  *y = missing * missing;
}

template <class W>
void rms_floor_backward(CpuQueue queue, const RmsFloor<W>& v, const W* dy, GradOut<W> dx) {
  if (!dx) return;
  const auto [missing, r] = below_floor(queue, v);
  const W factor = -2 * missing / (W(v.n) * r) * *dy;
  for (int64_t i = 0; i < v.n; ++i) dx.put(i, factor * v.x[i]);
}

#define KAPPA_INSTANTIATE(W)                                                              \
  template W keeper_advance(CpuQueue, const KeeperState<W>&, int64_t, const W*, W, bool); \
  template void rms_floor_forward(CpuQueue, const RmsFloor<W>&, W*);                      \
  template void rms_floor_backward(CpuQueue, const RmsFloor<W>&, const W*, GradOut<W>);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)

}  // namespace kappa
