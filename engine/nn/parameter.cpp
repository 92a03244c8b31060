#include "engine/nn/parameter.h"

#include <cmath>
#include <cstring>

#include "engine/core/philox.h"
#include "engine/core/wide.h"
#include "engine/cuda/runtime.h"
#include "engine/device/block_sum.h"
#include "engine/device/thread_pool.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

Parameter& ParameterStore::declare(ParameterSpec spec) { return parameters_.emplace_back(Parameter{std::move(spec)}); }
Buffer& ParameterStore::declare_buffer(BufferSpec spec) { return buffers_.emplace_back(Buffer{std::move(spec)}); }

DType ParameterStore::master_dtype(const ParameterSpec& spec, DType compute, Narrow narrow) {
  const bool embedding = spec.role == Role::embedding || spec.role == Role::value_embedding;
  return narrow == Narrow::all || (narrow == Narrow::embeddings && embedding) ? DType::bf16 : wide(compute);
}

void ParameterStore::allocate(DType compute, Narrow narrow, Device device) {
  if (narrow != Narrow::none && compute != DType::bf16) throw std::logic_error("narrow parameters of a model that computes wide");
  compute_ = compute, narrow_ = narrow;
  const DType full = wide(compute);
  const auto master_of = [&](const Parameter& p) { return master_dtype(p.spec, compute, narrow); };
  const auto value_of = [&](const Parameter& p) { return p.always_wide() ? full : compute; };
  const auto footprint = [](const Parameter& p, DType dtype) {
    return PersistentSlab::footprint(p.spec.shape.size() * size_of(dtype));
  };
  int64_t values = 0, gradients = 0;
  for (const Parameter& p : parameters_) {
    values += footprint(p, master_of(p)) + (value_of(p) == master_of(p) ? 0 : footprint(p, value_of(p)));
    gradients += footprint(p, full) + (master_of(p) == full ? 0 : footprint(p, master_of(p)));
  }
  for (const Buffer& b : buffers_)
    values += PersistentSlab::footprint(b.spec.shape.size() * size_of(b.spec.boolean ? DType::i32 : full));
  values_.emplace(values, device);
  gradients_.emplace(gradients, device);

  for (Parameter& p : parameters_) {
    const Shape& shape = p.spec.shape;
    const auto gradient = [&](DType dtype) {
      return std::make_shared<Gradient>(Gradient{shape, dtype, device, gradients_->take(shape.size() * size_of(dtype)), true});
    };
    const auto take = [&](DType dtype) { return values_->take(shape.size() * size_of(dtype)); };
    const DType master = master_of(p), value = value_of(p);
    const GradientRef added = gradient(full), read = master == full ? added : gradient(master);
    const Memory memory = take(master);
    p.master = Tensor::over(memory, shape, master, device, read);
    p.value = Tensor::over(value == master ? memory : take(value), shape, value, device, added);
  }
  for (Buffer& b : buffers_) {
    const DType dtype = b.spec.boolean ? DType::i32 : full;
    b.value = Tensor::over(values_->take(b.spec.shape.size() * size_of(dtype)), b.spec.shape, dtype, device);
  }
}

/// Memory for the tensor's elements that the host can write: its own, unless that is a GPU's.
static Tensor on_host(const Tensor& x) { return x.device() == Device::cuda ? Tensor::empty(x.shape(), x.dtype()) : x; }

void ParameterStore::initialize(uint64_t seed) {
  for (Parameter& p : parameters_) {
    const Random random(seed, p.spec.name, 0);
    const Tensor first = on_host(p.master);
    dispatch("initialize", first.dtype(), Device::cpu, [&]<class T>(T, CpuQueue) {
      T* const data = first.data<T>();
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
    if (p.master.device() == Device::cuda) copy(first, p.master);
  }
  refresh_values();
}

template <class From, class To>
static KAPPA_WIDE void copy_range(const From* from, To* to, Range r) {
  for (int64_t i = r.begin; i < r.end; ++i) to[i] = To(float(from[i]));
}

void ParameterStore::refresh_values() {
  const OpScope scope("refresh_values");
  for (Parameter& p : parameters_) {
    if (p.value.dtype() == p.master.dtype()) continue;
    const bool on_gpu = p.value.device() == Device::cuda;  // by way of the host, until the optimizer has kernels there
    const Tensor master = on_gpu ? moved(p.master, Device::cpu) : p.master, value = on_host(p.value);
    const auto convert = [&]<class From, class To>(From, To) {
      const From* const from = master.data<From>();
      To* const to = value.data<To>();
      parallel_ranges(master.size(), 65536, [&](Range r) { copy_range(from, to, r); });
    };
    value.dtype() == DType::bf16 ? convert(float{}, bfloat16{}) : convert(bfloat16{}, float{});
    if (on_gpu) copy(value, p.value);
  }
}

static KAPPA_WIDE void settle_range(float* added, bfloat16* read, Range r) {
  for (int64_t i = r.begin; i < r.end; ++i) {
    read[i] = bfloat16(float(read[i]) + float(bfloat16(added[i])));
    added[i] = 0;
  }
}

void ParameterStore::settle_gradients() {
  for (Parameter& p : parameters_)
    if (p.value.gradient() != p.master.gradient())
      parallel_ranges(p.master.size(), 65536,
                      [&](Range r) { settle_range(p.value.grad<float>(), p.master.grad<bfloat16>(), r); });
}

void ParameterStore::zero_gradients() {
  const OpScope scope("zero_gradients");
  if (Profile* profile = Profile::current()) profile->touch(gradients_->data(), gradients_->size());
  if (!parameters_.empty() && parameters_.front().master.device() == Device::cuda)
    return cuda::clear(gradients_->data(), gradients_->size());
  const int64_t page = int64_t{1} << 20;
  parallel_ranges(gradients_->size(), page,
                  [&](Range r) { std::memset(gradients_->data() + r.begin, 0, size_t(r.end - r.begin)); });
}

template <class T>
static KAPPA_WIDE double squares_range(const T* x, Range r) {
  using W = Wide<T>;
  W sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = r.begin; i < r.end; ++i) sum += W(x[i]) * W(x[i]);
  return double(sum);
}

double ParameterStore::gradient_norm() const {
  double squares = 0;
  for (const Parameter& p : parameters_)
    dispatch("gradient_norm", p.master.dtype(), p.master.device(), [&]<class T>(T, CpuQueue) {
      squares += block_sum(p.master.size(), [&](Range r) { return squares_range(p.master.grad<T>(), r); });
    });
  return std::sqrt(squares);
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
