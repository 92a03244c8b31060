#pragma once
// The model's forward pass at evaluation, written from the spec once more: float64, a token and a number at a time, every query
// against every key, without a cache. What the fast paths are held against.

#include <map>
#include <string>
#include <vector>

#include "model/gpt.h"

namespace kappa::test {

using Numbers = std::vector<double>;

/// A token by its row and its position.
struct Spot {
  size_t row, position;
};
/// The tokens of one forward pass, in the order in which they are counted: they share the slots of the experts.
using Call = std::vector<Spot>;

class SlowGpt {
 public:
  explicit SlowGpt(Gpt& model);

  /// Softcapped logits of every token, by row and position. rows are equally long; `calls` have every token once.
  std::vector<std::vector<Numbers>> logits(const std::vector<std::vector<int32_t>>& rows, const std::vector<Call>& calls);
  /// How many choices of experts were dropped in all passes so far.
  int64_t dropped() const { return dropped_; }

 private:
  using Stream = std::vector<std::vector<Numbers>>;  // by row and position

  const Numbers& parameter(const std::string& name) const { return parameters_.at(name); }
  Stream attention(const Stream& x, const std::vector<std::vector<int32_t>>& rows, int64_t layer) const;
  Stream dense(const Stream& x, int64_t layer) const;
  Stream mixture(const Stream& x, const std::vector<Call>& calls, int64_t layer);
  Numbers expert(const Numbers& x, int64_t layer, size_t e, double confidence) const;
  /// κ's bias or scale at gate j of expert e.
  double kappa(const char* name, const std::string& module, size_t e, size_t j) const;
  double confidence_of(const Numbers& router, size_t e, double logit, double probability) const;

  ModelConfig config_;
  std::map<std::string, Numbers> parameters_;
  int64_t dropped_ = 0;
};

/// Values for all parameters and for the experts' biases of a model, large enough for every part of it to matter.
void randomize(Gpt& model, uint64_t seed);

}  // namespace kappa::test
