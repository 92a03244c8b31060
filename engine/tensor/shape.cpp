#include "engine/tensor/shape.h"

namespace kappa {

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (int64_t extent : shape.extents()) text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

}  // namespace kappa
