#include "train/optimizers/adamw.h"

#include "engine/tensor/dispatch.h"
#include "train/optimizers/finite.h"

namespace kappa {

void adamw_step(const AdamWTensors& t, const AdamWRates& rates, OptimizerRounding rounding) {
  const int32_t update = ++*t.updates.data<int32_t>();
  bool finite = true;
  dispatch("adamw", t.parameter.dtype(), t.parameter.device(), [&]<class T>(T, CpuQueue queue) {
    const AdamWArrays<T> arrays{.n = t.parameter.size(),
                                .gradient = t.parameter.grad<T>(),
                                .parameter = t.parameter.data<T>(),
                                .first_moment = t.first_moment.data<T>(),
                                .second_moment = t.second_moment.data<T>()};
    with_arithmetic<T>(rounding, [&]<class A>(A) { finite = adamw_step<A>(queue, arrays, rates, update); });
  });
  if (!finite)
    expect_finite(t.name, {{"gradient", gradient_of_parameter(t.parameter)},
                           {"first moment", t.first_moment},
                           {"second moment", t.second_moment},
                           {"parameter", t.parameter}});
}

}  // namespace kappa
