#include "data/tokenizer.h"

#include "data/bpe_trainer.h"
#include "data/utf8.h"
#include "engine/core/error.h"
#include "engine/device/thread_pool.h"
#include "tests/data/support.h"

using namespace kappa;
using namespace kappa::test;

namespace {

Tokenizer small() {
  return Tokenizer(
      train_bpe(std::vector<std::string>{"the cat and the hat, the cat and the bat €€€ <|bos|> <|bos|> <|bos|>"}, 300));
}

}  // namespace

TEST_CASE("tokenizer: bytes survive, whatever they are") {
  const Tokenizer tokenizer = small();
  std::mt19937_64 random(29);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (int64_t n = random_below(random, 30); n > 0; --n)
      bytes += random_below(random, 2) ? char(random()) : "the ca€"[random_below(random, 9)];
    const auto ids = tokenizer.encode(bytes);
    REQUIRE(tokenizer.decode_bytes(ids) == bytes);
    REQUIRE(tokenizer.decode(ids) == repair_utf8(bytes).text);
  }
  CHECK(tokenizer.encode("").empty());
  CHECK(tokenizer.decode({}).empty());
}

TEST_CASE("tokenizer: special tokens follow the others and are plain text in a text") {
  const Tokenizer tokenizer = small();
  const auto mergeable = int32_t(tokenizer.vocabulary().tokens.size());
  CHECK(tokenizer.size() == mergeable + 9);
  CHECK(tokenizer.bos_id() == mergeable);
  CHECK(tokenizer.special_id("<|user_start|>") == mergeable + 1);
  CHECK(tokenizer.special_id("<|output_end|>") == mergeable + 8);
  CHECK_FALSE(tokenizer.special_id("the").has_value());
  const auto ids = tokenizer.encode("<|bos|>");
  CHECK(std::all_of(ids.begin(), ids.end(), [&](int32_t id) { return id < mergeable; }));
  CHECK(tokenizer.decode(std::vector<int32_t>{tokenizer.bos_id()}) == "<|bos|>");
  REQUIRE_THROWS_AS(tokenizer.token(-1), InputError);
  REQUIRE_THROWS_AS(tokenizer.token(tokenizer.size()), InputError);
  REQUIRE_THROWS_AS(tokenizer.decode(std::vector<int32_t>{mergeable + 9}), InputError);
}

TEST_CASE("tokenizer: a token counts for the bytes of its text, a part of a character for those of U+FFFD") {
  Vocabulary v;
  for (int byte = 0; byte < 256; ++byte) v.tokens.emplace_back(1, char(byte));
  for (const char* token : {"ab", "€", "\xE2\x82", " \xE2\x82", "\x82\xAC", "\xF0\x9F", "a\x80", "<|end|>"})
    v.tokens.emplace_back(token);
  v.specials = {"<|bos|>", "<|end|>"};
  v.bos = "<|bos|>";
  const auto lengths = Tokenizer(v).token_bytes();
  REQUIRE(lengths.size() == 256 + 8 + 2);
  for (size_t byte = 0; byte < 256; ++byte) CHECK(lengths[byte] == (byte < 0x80 ? 1 : 3));
  CHECK(std::vector(lengths.begin() + 256, lengths.end()) == std::vector<int32_t>{2, 3, 3, 4, 6, 3, 4, 0, 0, 0});
}

TEST_CASE("tokenizer: many texts are encoded as each alone, by any number of threads") {
  const Tokenizer tokenizer = small();
  std::mt19937_64 random(31);
  std::vector<std::string> texts;
  for (int i = 0; i < 300; ++i) {
    std::string& text = texts.emplace_back();
    for (int64_t n = random_below(random, 60); n > 0; --n) text += "the cat, and"[random_below(random, 12)];
  }
  const int before = threads();
  for (int count : {1, 2, 7}) {
    set_threads(count);
    const auto ids = tokenizer.encode_batch(texts);
    REQUIRE(ids.size() == texts.size());
    for (size_t i = 0; i < texts.size(); ++i) REQUIRE(ids[i] == tokenizer.encode(texts[i]));
  }
  set_threads(before);
}

TEST_CASE("tokenizer: a copy stands on its own") {
  auto original = std::make_unique<Tokenizer>(small());
  const auto ids = original->encode("the cat and the hat");
  const Tokenizer copy = *original;
  original.reset();
  CHECK(copy.encode("the cat and the hat") == ids);
}

TEST_CASE("tokenizer: what is no vocabulary is refused") {
  Vocabulary good = small().vocabulary();
  const auto refused = [&](auto change, const std::string& message) {
    Vocabulary bad = good;
    change(bad);
    CHECK(contains(complaint([&] { Tokenizer(std::move(bad)); }), message));
  };
  refused([](Vocabulary& v) { v.tokens[65] = "xyz"; }, "single byte 0x41");
  refused([](Vocabulary& v) { v.tokens.emplace_back("A"); }, "are both A");
  refused([](Vocabulary& v) { v.tokens.emplace_back(""); }, "is empty");
  refused([](Vocabulary& v) { v.specials.push_back("<|bos|>"); }, "<|bos|> is there twice");
  refused([](Vocabulary& v) { v.specials.push_back(""); }, "special token 9 is empty");
  refused([](Vocabulary& v) { v.bos = "<|eos|>"; }, "<|eos|>");
  refused([](Vocabulary& v) { v.pattern = nullptr; }, "pattern");
}
