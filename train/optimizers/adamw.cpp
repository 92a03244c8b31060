#include "train/optimizers/adamw.h"

#include "engine/tensor/dispatch.h"
#include "train/optimizers/finite.h"

namespace kappa {

void adamw_step(const AdamWTensors& t, const AdamWRates& rates) {
  const int32_t update = ++*t.updates.data<int32_t>();
  dispatch_wide("adamw", t.parameter, [&]<class W>(W, auto queue) {
    const AdamWArrays<W> arrays{.n = t.parameter.size(),
                                .gradient = t.parameter.grad<W>(),
                                .parameter = t.parameter.data<W>(),
                                .first_moment = t.first_moment.data<W>(),
                                .second_moment = t.second_moment.data<W>()};
    if (!adamw_step(queue, arrays, rates, update))
      expect_finite(t.name, {{"gradient", gradient_of_parameter(t.parameter)},
                             {"first moment", t.first_moment},
                             {"second moment", t.second_moment},
                             {"parameter", t.parameter}});
  });
}

}  // namespace kappa
