#include "engine/nn/parameter.h"

#include <cstring>

#include "engine/core/philox.h"
#include "engine/core/wide.h"
#include "engine/device/thread_pool.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

Parameter& ParameterStore::declare(ParameterSpec spec) { return parameters_.emplace_back(Parameter{std::move(spec)}); }
Buffer& ParameterStore::declare_buffer(BufferSpec spec) { return buffers_.emplace_back(Buffer{std::move(spec)}); }

void ParameterStore::allocate(DType compute) {
  compute_ = compute;
  const DType master = wide(compute);
  const bool copies = compute != master;
  int64_t values = 0, gradients = 0;
  for (const Parameter& p : parameters_) {
    const int64_t n = p.spec.shape.size();
    values += PersistentSlab::footprint(n * size_of(master));
    if (copies && !p.always_wide()) values += PersistentSlab::footprint(n * size_of(compute));
    gradients += PersistentSlab::footprint(n * size_of(master));
  }
  for (const Buffer& b : buffers_)
    values += PersistentSlab::footprint(b.spec.shape.size() * size_of(b.spec.boolean ? DType::i32 : master));
  values_.emplace(values);
  gradients_.emplace(gradients);

  for (Parameter& p : parameters_) {
    const Shape& shape = p.spec.shape;
    const auto gradient =
        std::make_shared<Gradient>(Gradient{shape, master, Device::cpu, gradients_->take(shape.size() * size_of(master)), true});
    p.master = Tensor::over(values_->take(shape.size() * size_of(master)), shape, master, Device::cpu, gradient);
    p.value = p.master;
    if (copies && !p.always_wide())
      p.value = Tensor::over(values_->take(shape.size() * size_of(compute)), shape, compute, Device::cpu, gradient);
  }
  for (Buffer& b : buffers_) {
    const DType dtype = b.spec.boolean ? DType::i32 : master;
    b.value = Tensor::over(values_->take(b.spec.shape.size() * size_of(dtype)), b.spec.shape, dtype);
  }
}

void ParameterStore::initialize(uint64_t seed) {
  for (Parameter& p : parameters_) {
    const Random random(seed, p.spec.name, 0);
    dispatch("initialize", p.master.dtype(), p.master.device(), [&]<class T>(T, CpuQueue) {
      T* const data = p.master.data<T>();
      const double scale = p.spec.init.scale;
      parallel_ranges(p.master.size(), 65536, [&](Range r) {
        for (int64_t i = r.begin; i < r.end; ++i) switch (p.spec.init.kind) {
            case Init::Kind::zeros:
              data[i] = T(0);
              break;
            case Init::Kind::ones:
              data[i] = T(1);
              break;
            case Init::Kind::uniform:
              data[i] = T(float(scale * (2 * random.uniform<float>(i) - 1)));
              break;
            case Init::Kind::normal:
              data[i] = T(float(scale * random.normal<float>(i)));
              break;
          }
      });
    });
  }
  refresh_values();
}

static KAPPA_WIDE void round_range(const float* from, bfloat16* to, Range r) {
  for (int64_t i = r.begin; i < r.end; ++i) to[i] = from[i];
}

void ParameterStore::refresh_values() {
  const OpScope scope("refresh_values");
  for (Parameter& p : parameters_) {
    if (p.value.dtype() != DType::bf16) continue;
    const float* const master = p.master.data<float>();
    bfloat16* const value = p.value.data<bfloat16>();
    parallel_ranges(p.master.size(), 65536, [&](Range r) { round_range(master, value, r); });
  }
}

void ParameterStore::zero_gradients() {
  const OpScope scope("zero_gradients");
  if (Profile* profile = Profile::current()) profile->touch(gradients_->data(), gradients_->size());
  const int64_t page = int64_t{1} << 20;
  parallel_ranges(gradients_->size(), page,
                  [&](Range r) { std::memset(gradients_->data() + r.begin, 0, size_t(r.end - r.begin)); });
}

Parameter* ParameterStore::find(std::string_view name) {
  for (Parameter& p : parameters_)
    if (p.spec.name == name) return &p;
  return nullptr;
}

int64_t ParameterStore::count() const {
  int64_t n = 0;
  for (const Parameter& p : parameters_) n += p.spec.shape.size();
  return n;
}

}  // namespace kappa
