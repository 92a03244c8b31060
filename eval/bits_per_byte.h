#pragma once
// Bits per byte on held-out text (spec: evaluation §2): what a model needs, on average, for a byte of text it has not seen.
//
//     bpb = Σ loss / (ln 2 · Σ bytes)        over targets that stand for bytes; special tokens count for none

#include <cstdint>
#include <functional>
#include <span>

#include "data/token_loader.h"
#include "model/gpt.h"

namespace kappa {

struct HeldOutLoss {
  double bits_per_byte;  // +∞ where there are no bytes
  double token_loss;     // nats for a token that counts; +∞ where there are none
};

/// Over all of `batches`. token_bytes [V] says what an id counts for. `progress`, if given, is called after each batch.
HeldOutLoss held_out_loss(Gpt& model, const BatchSequence& batches, std::span<const int32_t> token_bytes,
                          const std::function<void(int64_t done, int64_t total)>& progress = {});

}  // namespace kappa
