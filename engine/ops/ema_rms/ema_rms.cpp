#include "engine/ops/ema_rms/ema_rms.h"

#include <cmath>

#include "engine/autograd/tape.h"
#include "engine/core/text.h"
#include "engine/ops/ema_rms/kernels.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

template <class W>
static KeeperState<W> state_of(const EmaRmsKeeper& keeper) {
  return {keeper.ema.data<W>(), keeper.target.data<W>(), keeper.initialized.data<int32_t>(), keeper.ready.data<int32_t>()};
}

static void check(const EmaRmsKeeper& keeper, const Tensor& x) {
  for (const auto& [name, value] : {std::pair{"ema", keeper.ema}, {"target", keeper.target}})
    expect("ema_rms", name, value, {1}, x.dtype(), x.device());
  for (const auto& [name, value] : {std::pair{"initialized", keeper.initialized}, {"ready", keeper.ready}})
    expect("ema_rms", name, value, {1}, DType::i32, x.device());
}

void advance(const EmaRmsKeeper& keeper, const Tensor& x, KeeperStep step, std::string_view name) {
  check(keeper, x);
  dispatch_wide("ema_rms", x, [&]<class W>(W, CpuQueue queue) {
    const W r = keeper_advance(queue, state_of<W>(keeper), x.size(), x.data<W>(), W(step.beta), step.collecting);
    if (!std::isfinite(r) || !std::isfinite(*keeper.ema.data<W>()) || !std::isfinite(*keeper.target.data<W>()))
      throw RunError(fmt::format("{}: the keeper of its size met a value that is not finite (root mean square {})", name,
                                 printable(double(r))));
  });
}

Tensor rms_floor(const Tensor& x, const EmaRmsKeeper& keeper, double fraction) {
  check(keeper, x);
  const auto floor = [x, keeper, fraction]<class W>(W) {
    return RmsFloor<W>{x.size(), x.data<W>(), state_of<W>(keeper), W(fraction)};
  };
  const Tensor y = Tape::output({x}, {1}, x.dtype(), x.device());
  dispatch_wide("rms_floor", x, [&]<class W>(W w, CpuQueue queue) { rms_floor_forward(queue, floor(w), y.data<W>()); });
  Tape::record("rms_floor", {y}, [floor, x, dy = y.gradient()] {
    dispatch_wide("rms_floor", x,
                  [&]<class W>(W w, CpuQueue queue) { rms_floor_backward(queue, floor(w), read<W>(dy), contribute<W>(x)); });
  });
  return y;
}

}  // namespace kappa
