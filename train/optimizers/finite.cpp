#include "train/optimizers/finite.h"

#include "engine/core/text.h"
#include "engine/tensor/finite.h"

namespace kappa {

void expect_finite(std::string_view parameter, std::initializer_list<NamedTensor> tensors) {
  for (const auto& [what, values] : tensors) {
    if (!values) continue;
    if (const auto found = first_not_finite(values))
      throw RunError(fmt::format("{}: the {} is {} at {}", parameter, what, printable(found->value), found->place));
  }
}

Tensor gradient_of_parameter(const Tensor& parameter) {
  const Gradient& g = *parameter.gradient();
  return Tensor::over(g.memory, g.shape, g.dtype, g.device);
}

}  // namespace kappa
