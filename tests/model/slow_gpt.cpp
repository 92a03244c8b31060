#include "tests/model/slow_gpt.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/support/values.h"

namespace kappa::test {
namespace {

Numbers norm(const Numbers& x) {
  double squares = 0;
  for (double v : x) squares += v * v;
  Numbers y = x;
  for (double& v : y) v /= std::sqrt(squares / double(x.size()) + 0x1p-23);
  return y;
}

/// W·x for W [out, in].
Numbers times(const Numbers& w, const Numbers& x) {
  Numbers y(w.size() / x.size(), 0);
  for (size_t i = 0; i < y.size(); ++i)
    for (size_t j = 0; j < x.size(); ++j) y[i] += w[i * x.size() + j] * x[j];
  return y;
}

/// x·W_e for W [E, in, out].
Numbers times_expert(const Numbers& x, const Numbers& w, size_t e, size_t out) {
  Numbers y(out, 0);
  for (size_t i = 0; i < x.size(); ++i)
    for (size_t j = 0; j < out; ++j) y[j] += x[i] * w[(e * x.size() + i) * out + j];
  return y;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

Numbers part(const Numbers& x, size_t begin, size_t count) {
  return {x.begin() + std::ptrdiff_t(begin), x.begin() + std::ptrdiff_t(begin + count)};
}

/// A head's vector turned to its position and normalised. Tables are float32, rounded to bfloat16.
Numbers turned(const Numbers& x, size_t position) {
  const size_t half = x.size() / 2;
  Numbers y(x.size());
  for (size_t j = 0; j < half; ++j) {
    const float angle = float(position) * (1.0f / std::pow(10000.0f, float(2 * j) / float(x.size())));
    const double cosine = float(bfloat16(std::cos(angle))), sine = float(bfloat16(std::sin(angle)));
    y[j] = x[j] * cosine + x[j + half] * sine;
    y[j + half] = x[j + half] * cosine - x[j] * sine;
  }
  return norm(y);
}

}  // namespace

SlowGpt::SlowGpt(Gpt& model) : config_(model.config()) {
  for (const Parameter& p : model.store().parameters()) parameters_[p.spec.name] = to_doubles(p.master);
  for (const Buffer& b : model.store().buffers()) parameters_[b.spec.name] = to_doubles(b.value);
}

std::vector<std::vector<Numbers>> SlowGpt::logits(const std::vector<std::vector<int32_t>>& rows, const std::vector<Call>& calls) {
  const size_t width = size_t(config_.n_embd);
  const auto for_all = [](Stream& x, auto change) {
    for (size_t r = 0; r < x.size(); ++r)
      for (size_t t = 0; t < x[r].size(); ++t) change(x[r][t], r, t);
  };
  Stream start(rows.size());
  for (size_t r = 0; r < rows.size(); ++r)
    for (int32_t id : rows[r]) start[r].push_back(norm(part(parameter("transformer.wte.weight"), size_t(id) * width, width)));

  Stream x = start;
  const auto add = [&](const Stream& y) {
    for_all(x, [&](Numbers& v, size_t r, size_t t) {
      for (size_t c = 0; c < width; ++c) v[c] += y[r][t][c];
    });
  };
  const auto normed = [&] {
    Stream y = x;
    for_all(y, [](Numbers& v, size_t, size_t) { v = norm(v); });
    return y;
  };
  for (int64_t loop = 0; loop < config_.total_ut_steps; ++loop) {
    for (int64_t layer = 0; layer < config_.n_layer; ++layer) {
      const double a = parameter("resid_lambdas")[size_t(layer)], b = parameter("x0_lambdas")[size_t(layer)];
      for_all(x, [&](Numbers& v, size_t r, size_t t) {
        for (size_t c = 0; c < width; ++c) v[c] = a * v[c] + b * start[r][t][c];
      });
      add(attention(normed(), rows, layer));
      add(config_.is_moe(layer) ? mixture(normed(), calls, layer) : dense(normed(), layer));
    }
    x = normed();
  }
  for_all(x, [&](Numbers& v, size_t, size_t) {
    v = times(parameter("lm_head.weight"), v);
    v.resize(size_t(config_.vocab_size));
    for (double& z : v) z = 15 * std::tanh(z / 15);
  });
  return x;
}

SlowGpt::Stream SlowGpt::attention(const Stream& x, const std::vector<std::vector<int32_t>>& rows, int64_t layer) const {
  const std::string module = fmt::format("transformer.h.{}.attn.", layer);
  const size_t size = size_t(config_.head_size()), heads = size_t(config_.n_head), kv_heads = size_t(config_.n_kv());
  const bool local = layer + 1 < config_.n_layer && config_.window_pattern[size_t(layer) % config_.window_pattern.size()] == 'S';
  const size_t window = size_t(local ? config_.sequence_len / 2 : config_.sequence_len);
  Stream y(x.size());
  for (size_t r = 0; r < x.size(); ++r) {
    std::vector<std::vector<Numbers>> keys, values;  // by position and kv head
    for (size_t t = 0; t < x[r].size(); ++t) {
      const Numbers k = times(parameter(module + "c_k.weight"), x[r][t]), v = times(parameter(module + "c_v.weight"), x[r][t]);
      keys.emplace_back(), values.emplace_back();
      for (size_t h = 0; h < kv_heads; ++h) {
        keys[t].push_back(turned(part(k, h * size, size), t));
        values[t].push_back(part(v, h * size, size));
        if (layer % 2 != (config_.n_layer - 1) % 2) continue;
        const Numbers gate = times(part(parameter(module + "ve_gate.weight"), h * 32, 32), part(x[r][t], 0, 32));
        const Numbers& table = parameter(fmt::format("value_embeds.{}.weight", layer));
        for (size_t d = 0; d < size; ++d)
          values[t][h][d] += 2 * sigmoid(gate[0]) * table[(size_t(rows[r][t]) * kv_heads + h) * size + d];
      }
      const Numbers q = times(parameter(module + "c_q.weight"), x[r][t]);
      Numbers heard;
      for (size_t h = 0; h < heads; ++h) {
        const Numbers query = turned(part(q, h * size, size), t);
        const size_t of = h / (heads / kv_heads);
        Numbers out(size, 0);
        double total = 0;
        for (size_t j = t > window ? t - window : 0; j <= t; ++j) {
          const double p =
              std::exp(std::inner_product(query.begin(), query.end(), keys[j][of].begin(), 0.0) / std::sqrt(double(size)));
          total += p;
          for (size_t d = 0; d < size; ++d) out[d] += p * values[j][of][d];
        }
        for (double o : out) heard.push_back(o / total);
      }
      y[r].push_back(times(parameter(module + "c_proj.weight"), heard));
    }
  }
  return y;
}

double SlowGpt::kappa(const char* name, const std::string& module, size_t e, size_t j) const {
  switch (config_.kappa_granularity) {
    case KappaGranularity::per_gate:
      return parameter(module + name)[e * size_t(config_.hidden_size()) + j];
    case KappaGranularity::per_expert:
      return parameter(module + name)[e];
    case KappaGranularity::per_layer:
      return parameter(module + name)[0];
    case KappaGranularity::global:
      return parameter(std::string("global_") + name)[0];
  }
  return NAN;
}

SlowGpt::Stream SlowGpt::dense(const Stream& x, int64_t layer) const {
  const std::string module = fmt::format("transformer.h.{}.mlp.", layer);
  Stream y(x.size());
  for (size_t r = 0; r < x.size(); ++r)
    for (const Numbers& in : x[r]) {
      Numbers h = times(parameter(module + "c_fc.weight"), in);
      if (config_.dense_mlp == DenseMlp::relu2) {
        for (double& v : h) v = v > 0 ? v * v : 0;
      } else {
        const Numbers g = times(parameter(module + "gate_proj.weight"), in);
        for (size_t j = 0; j < h.size(); ++j) {
          double slope = 1;
          if (config_.kappa_active(layer))
            slope = std::pow(config_.dense_kappa_slope_max_scale,
                             std::tanh(kappa("kappa_bias", module, 0, j) * config_.kappa_input_constant));
          h[j] *= g[j] * sigmoid(slope * g[j]);
        }
      }
      y[r].push_back(times(parameter(module + "c_proj.weight"), h));
    }
  return y;
}

double SlowGpt::confidence_of(const Numbers& router, size_t e, double logit, double probability) const {
  const double exponent = config_.kappa_input_logit_norm_exponent;
  const size_t width = size_t(config_.n_embd), experts = size_t(config_.n_exp);
  if (config_.kappa_input == KappaInput::router_probs) return 2 * probability;
  if (config_.kappa_input == KappaInput::constant) return config_.kappa_input_constant;
  if (exponent <= 0) return 0.3 * logit;
  const auto size_of_row = [&](size_t row) {
    double squares = 1e-4;
    for (size_t c = 0; c < width; ++c) squares += router[row * width + c] * router[row * width + c];
    return std::sqrt(squares);
  };
  double mean = 0;
  for (size_t row = 0; row < experts; ++row) mean += std::pow(size_of_row(row), 1 - exponent) / double(experts);
  return 6 * logit / (std::sqrt(double(width)) * std::pow(size_of_row(e), exponent) * mean);
}

Numbers SlowGpt::expert(const Numbers& x, int64_t layer, size_t e, double confidence) const {
  const std::string module = fmt::format("transformer.h.{}.mlp.experts.", layer);
  const size_t units = size_t(config_.hidden_size());
  const Numbers g = times_expert(x, parameter(module + "gate_proj"), e, units);
  Numbers h = times_expert(x, parameter(module + "c_fc"), e, units);
  for (size_t j = 0; j < units; ++j) {
    if (config_.kappa_active(layer)) {
      const double bias = kappa("kappa_bias", module, e, j);
      const double z = config_.kappa_input == KappaInput::constant ? bias * confidence
                                                                   : bias + kappa("kappa_scale", module, e, j) * confidence;
      h[j] *= g[j] * sigmoid(std::pow(config_.moe_kappa_slope_max_scale, std::tanh(z)) * g[j]);
    } else {
      h[j] *= config_.expert_mlp == ExpertMlp::bilinear ? g[j] : g[j] * sigmoid(g[j]);
    }
  }
  return times_expert(h, parameter(module + "c_proj"), e, x.size());
}

SlowGpt::Stream SlowGpt::mixture(const Stream& x, const std::vector<Call>& calls, int64_t layer) {
  const std::string module = fmt::format("transformer.h.{}.mlp.router.", layer);
  const Numbers &router = parameter(module + "w_g.weight"), &bias = parameter(module + "expert_bias");
  const size_t experts = size_t(config_.n_exp), top_k = size_t(config_.moe_top_k);
  Stream y = x;
  for (const Call& call : calls) {
    int64_t capacity = int64_t(std::floor(double(top_k) * config_.eval_capacity * double(call.size()) / double(experts)));
    capacity = std::max(capacity % 2 ? capacity + 1 : capacity, config_.min_capacity);
    std::vector<Numbers> logits;
    std::vector<std::vector<size_t>> chosen;
    for (const Spot& s : call) {
      logits.push_back(times(router, x[s.row][s.position]));
      Numbers score = logits.back();
      if (config_.load_balancing == LoadBalancing::aux_free)
        for (size_t e = 0; e < experts; ++e) score[e] += bias[e];
      std::vector<size_t> order(experts);
      std::iota(order.begin(), order.end(), size_t(0));
      std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return score[a] > score[b]; });
      order.resize(top_k);
      chosen.push_back(order);
      std::ranges::fill(y[s.row][s.position], 0.0);
    }
    std::vector<int64_t> taken(experts, 0);
    for (size_t k = 0; k < top_k; ++k)
      for (size_t n = 0; n < call.size(); ++n) {
        const size_t e = chosen[n][k];
        if (taken[e]++ >= capacity) {
          ++dropped_;
          continue;
        }
        double total = 0;
        for (size_t other : chosen[n]) total += std::exp(logits[n][other]);
        const double p = std::exp(logits[n][e]) / total;
        const Spot& s = call[n];
        const Numbers out = expert(x[s.row][s.position], layer, e, confidence_of(router, e, logits[n][e], p));
        for (size_t c = 0; c < out.size(); ++c) y[s.row][s.position][c] += p * out[c];
      }
  }
  return y;
}

void randomize(Gpt& model, uint64_t seed) {
  std::mt19937_64 random(seed);
  const double spread = 1.7 / std::sqrt(double(model.config().n_embd));
  for (Parameter& p : model.store().parameters()) {
    const bool large = p.spec.role == Role::embedding || p.spec.role == Role::value_embedding || p.spec.role == Role::kappa ||
                       p.spec.role == Role::resid_lambdas || p.spec.role == Role::x0_lambdas;
    const bool router = p.spec.name.find(".router.") != std::string::npos;
    const double reach = large ? 1 : p.spec.role == Role::lm_head || router ? 4 * spread : spread;
    set_values(p.master, random_values(p.master.size(), random, -reach, reach));
  }
  for (Buffer& b : model.store().buffers())
    if (b.spec.name.ends_with("expert_bias")) set_values(b.value, random_values(b.value.size(), random, -1, 1));
  model.store().refresh_values();
}

}  // namespace kappa::test
