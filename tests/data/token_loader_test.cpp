#include "data/token_loader.h"

#include <algorithm>
#include <map>
#include <set>

#include "data/bpe_trainer.h"
#include "tests/data/support.h"

using namespace kappa;
using namespace kappa::test;

namespace {

constexpr int32_t bos = 0;

/// Documents of these lengths, BOS included. Every token but the BOS occurs once in the whole corpus: 1, 2, 3, …
TokenCorpus corpus_of(const std::vector<int64_t>& lengths) {
  TokenCorpus corpus;
  int32_t next = 1;
  for (int64_t length : lengths) {
    corpus.tokens.push_back(bos);
    for (int64_t i = 1; i < length; ++i) corpus.tokens.push_back(next++);
    corpus.begins.push_back(int64_t(corpus.tokens.size()));
  }
  return corpus;
}

int64_t count_tokens(const TokenCorpus& corpus) { return int64_t(corpus.tokens.size()) - corpus.documents(); }

std::vector<int64_t> random_lengths(std::mt19937_64& random, int64_t most, int64_t longest) {
  std::vector<int64_t> lengths;
  for (int64_t n = 1 + random_below(random, most); n > 0; --n) lengths.push_back(1 + random_below(random, longest));
  return lengths;
}

}  // namespace

TEST_CASE("token corpus: every document is its BOS and its ids") {
  const TextFolder folder;
  const Tokenizer tokenizer(train_bpe(std::vector<std::string>{"the cat and the hat"}, 270));
  const auto path = folder.write("a.jsonl", "{\"text\": \"the cat\"}\n{\"text\": \"hat\"}\n");
  const TokenCorpus corpus = tokenize(tokenizer, *open_documents(path), "a.jsonl");
  REQUIRE(corpus.documents() == 2);
  for (int64_t i = 0; i < 2; ++i) {
    std::vector<int32_t> expected{tokenizer.bos_id()};
    tokenizer.encode(i == 0 ? "the cat" : "hat", expected);
    CHECK(std::vector(corpus.document(i).begin(), corpus.document(i).end()) == expected);
  }
  const auto all = [&](int64_t most) { return tokenize_all(tokenizer, *open_documents(path), "a.jsonl", most).tokens; };
  CHECK(all(int64_t(corpus.tokens.size())) == corpus.tokens);
  CHECK(contains(complaint([&] { all(int64_t(corpus.tokens.size()) - 1); }), "a.jsonl: expected at most "));
  CHECK(complaint([&] { tokenize(tokenizer, *open_documents(folder.write("b.jsonl", "\n")), "b.jsonl"); }) ==
        "b.jsonl: expected documents, found none");
}

TEST_CASE("segments: a long document is cut so that every token but the BOS is a target of one segment") {
  const TokenCorpus corpus = corpus_of({1, 2, 5, 6, 9, 10, 30});
  const CorpusStream stream(corpus, {.length = 4, .long_documents = LongDocuments::split});
  std::map<int32_t, int64_t> targets;
  for (int64_t i = 0; i < stream.epoch_size(); ++i) {
    const Segment segment = stream.segment(i);
    REQUIRE(segment.tokens.size() <= 5);
    REQUIRE(segment.left() >= 1);
    if (segment.used > 0) CHECK(segment.tokens[1] == segment.tokens[0] + 1);  // the context is the token before
    for (size_t k = size_t(segment.used); k < segment.tokens.size(); ++k) ++targets[segment.tokens[k]];
  }
  CHECK(targets.size() == size_t(count_tokens(corpus)) + 1);
  for (const auto& [token, count] : targets) CHECK(count == (token == bos ? corpus.documents() : 1));
}

TEST_CASE("segments: the order is that of the documents, or a permutation that depends on seed and epoch alone") {
  const TokenCorpus corpus = corpus_of(std::vector<int64_t>(300, 3));
  const auto epoch = [&](LongDocuments mode, uint64_t seed, int64_t number) {
    const CorpusStream stream(corpus, {.length = 8, .long_documents = mode, .seed = seed});
    std::vector<int32_t> firsts;
    for (int64_t i = 0; i < 300; ++i) firsts.push_back(stream.segment(number * 300 + i).tokens[1]);
    return firsts;
  };
  std::vector<int32_t> in_order;
  for (int32_t i = 0; i < 300; ++i) in_order.push_back(1 + 2 * i);
  CHECK(epoch(LongDocuments::crop, 1, 0) == in_order);
  CHECK(epoch(LongDocuments::crop, 1, 7) == in_order);
  const auto shuffled = epoch(LongDocuments::split, 1, 0);
  CHECK(shuffled != in_order);
  CHECK(shuffled == epoch(LongDocuments::split, 1, 0));
  CHECK(shuffled != epoch(LongDocuments::split, 2, 0));
  CHECK(shuffled != epoch(LongDocuments::split, 1, 1));
  auto sorted = shuffled;
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == in_order);
  int64_t at_home = 0;  // one on average in a uniform permutation, with variance one
  for (uint64_t seed = 0; seed < 25; ++seed) {
    const auto order = epoch(LongDocuments::split, seed, 0);
    for (size_t i = 0; i < 300; ++i) at_home += order[i] == in_order[i];
  }
  CHECK(at_home > 25 - 3 * 5);
  CHECK(at_home < 25 + 3 * 5);
}

TEST_CASE("segments: slices of 128 make up the epochs, and ranks share them") {
  const TokenCorpus corpus = corpus_of(std::vector<int64_t>(301, 2));
  for (const auto mode : {LongDocuments::crop, LongDocuments::split}) {
    std::map<int32_t, int64_t> seen;
    for (int64_t rank = 0; rank < 2; ++rank) {
      const CorpusStream stream(corpus, {.length = 8, .long_documents = mode, .seed = 3, .rank = {rank, 2}});
      CHECK(stream.epoch_size() == 151 - rank);
      int64_t number = 0;
      for (int64_t slice = 0; slice < 4; ++slice) {
        const auto segments = stream.slice(slice).segments;
        CHECK(segments.size() == size_t(slice % 2 == 0 ? 128 : 23 - rank));
        CHECK(stream.begins_epoch(slice) == (slice % 2 == 0));
        for (const Segment& segment : segments) {
          CHECK(segment.number == number++);
          CHECK(segment.tokens == stream.segment(segment.number).tokens);
          ++seen[segment.tokens[1]];
        }
      }
    }
    CHECK(seen.size() == 301);
    for (const auto& [token, count] : seen) CHECK(count == 2);
  }
  CHECK(contains(complaint([&] { CorpusStream(corpus, {.length = 8, .rank = {2, 2}}); }), "rank: expected 0 to 1, found 2"));
  CHECK(contains(complaint([&] { CorpusStream(corpus_of({5}), {.length = 8, .rank = {1, 2}}); }), "too few for 2 ranks"));
  CHECK(contains(complaint([&] { CorpusStream(corpus, {.length = 0}); }), "row length"));
}

TEST_CASE("segments: streams that differ have different fingerprints") {
  const TokenCorpus corpus = corpus_of({5, 6, 7});
  TokenCorpus other_token = corpus, other_cut = corpus_of({6, 5, 7});
  other_token.tokens.back() = 99;
  other_cut.tokens = corpus.tokens;
  const StreamOptions options{.length = 4, .long_documents = LongDocuments::split, .seed = 1, .rank = {0, 2}};
  const std::vector<uint64_t> prints{CorpusStream(corpus, options).fingerprint(),
                                     CorpusStream(other_token, options).fingerprint(),
                                     CorpusStream(other_cut, options).fingerprint(),
                                     CorpusStream(corpus, {5, LongDocuments::split, 1}).fingerprint(),
                                     CorpusStream(corpus, {4, LongDocuments::crop, 1}).fingerprint(),
                                     CorpusStream(corpus, {4, LongDocuments::split, 2}).fingerprint()};
  CHECK(std::set(prints.begin(), prints.end()).size() == prints.size());
  CHECK(CorpusStream(corpus, {4, LongDocuments::split, 1, {1, 3}}).fingerprint() == prints[0]);  // that is RankOf's
}

TEST_CASE("loader: targets are the inputs one later, and rows are the packer's") {
  std::mt19937_64 random(71);
  const TokenCorpus corpus = corpus_of(random_lengths(random, 500, 40));
  const StreamOptions options{.length = 16};
  PackedLoader loader(corpus, options, 3);
  const CorpusStream stream(corpus, options);
  Packer packer(stream, LongDocuments::crop);
  for (int i = 0; i < 20; ++i) {
    const Batch batch = loader.next();
    REQUIRE(batch.rows == 3);
    REQUIRE(batch.length == 16);
    for (int64_t r = 0; r < 3; ++r) {
      std::vector<int32_t> row(17);
      packer.pack(row);
      for (int64_t t = 0; t < 16; ++t) {
        REQUIRE(batch.inputs[size_t(r * 16 + t)] == row[size_t(t)]);
        REQUIRE(batch.targets[size_t(r * 16 + t)] == row[size_t(t) + 1]);
      }
    }
  }
}

TEST_CASE("loader: split, every token is a target exactly once an epoch, after the token before it where a row has room for it") {
  std::mt19937_64 random(73);
  for (int round = 0; round < 40; ++round) {
    const TokenCorpus corpus = corpus_of(random_lengths(random, round % 2 ? 4 : 40, round % 3 ? 300 : 20));
    const int64_t length = 1 + random_below(random, 30), tokens = count_tokens(corpus), epochs = 3;
    if (tokens == 0) continue;
    PackedLoader loader(corpus, {.length = length, .long_documents = LongDocuments::split, .seed = uint64_t(round)}, 1);
    std::map<int32_t, int64_t> targets;
    int64_t seen = 0, strangers = 0, rows = 0;
    while (seen < epochs * tokens) {
      const Batch batch = loader.next();
      ++rows;
      for (size_t t = 0; t < batch.targets.size(); ++t) {
        const int32_t target = batch.targets[t];
        if (target == bos) continue;
        ++targets[target];
        if (++seen % tokens == 0) {  // an epoch ends here, perhaps within a row
          REQUIRE(int64_t(targets.size()) == tokens);
          for (const auto& [token, count] : targets) REQUIRE(count == seen / tokens);
        }
        const bool begins_document = batch.inputs[t] == bos, follows = batch.inputs[t] == target - 1 && target > 1;
        if (!begins_document && !follows) ++strangers;
        if (t == 0) REQUIRE((begins_document || follows));
      }
    }
    // Only where a row goes on with another segment can the token before be missing.
    CHECK(strangers <= rows * length);
  }
}

TEST_CASE("loader: split, documents that fill rows are not torn") {
  const TokenCorpus corpus = corpus_of({801, 801});  // one segment of 9 and 99 of 8 targets each
  PackedLoader loader(corpus, {.length = 8, .long_documents = LongDocuments::split}, 1);
  for (int row = 0; row < 200; ++row) {
    const Batch batch = loader.next();
    for (size_t t = 0; t < 8; ++t) REQUIRE(((batch.inputs[t] == bos && t == 0) || batch.targets[t] == batch.inputs[t] + 1));
  }
}

TEST_CASE("loader: goes on from a state with the same batches, the state of another loader is refused") {
  std::mt19937_64 random(79);
  const TokenCorpus corpus = corpus_of(random_lengths(random, 700, 100)), other = corpus_of({50, 60});
  for (const auto mode : {LongDocuments::crop, LongDocuments::split}) {
    const StreamOptions options{.length = 32, .long_documents = mode, .seed = 5};
    PackedLoader one(corpus, options, 4), two(corpus, options, 4);
    for (int i = 0; i < 300; ++i) one.next();
    const LoaderState state = one.state();
    two.restore(state);
    for (int i = 0; i < 300; ++i) {
      const Batch a = one.next(), b = two.next();
      REQUIRE(a.inputs == b.inputs);
      REQUIRE(a.targets == b.targets);
    }
    CHECK(two.state() == one.state());
    PackedLoader another(other, options, 4);
    CHECK(contains(complaint([&] { another.restore(state); }), "loader state: it belongs to other training data"));
    StreamOptions elsewhere = options;
    elsewhere.rank = {1, 4};
    PackedLoader of_another_rank(corpus, elsewhere, 4);
    CHECK(complaint([&] { of_another_rank.restore(state); }) ==
          "loader state: it was written by rank 0 of 1, and this is rank 1 of 4");
  }
}

TEST_CASE("windows: every token but the BOS is a target exactly once, after all tokens of its window") {
  std::mt19937_64 random(83);
  for (int round = 0; round < 40; ++round) {
    const TokenCorpus corpus = corpus_of(random_lengths(random, 30, 60));
    if (count_tokens(corpus) == 0) continue;
    const int64_t rows = 1 + random_below(random, 5), length = 1 + random_below(random, 20), world = 1 + random_below(random, 3);
    std::map<int32_t, int64_t> targets;
    for (int64_t rank = 0; rank < world; ++rank) {
      const WindowLoader loader(corpus, {rows, length}, rank, world);
      CHECK(loader.batches() == WindowLoader(corpus, {rows, length}, 0, world).batches());
      for (int64_t b = 0; b < loader.batches(); ++b) {
        const Batch batch = loader.batch(b);
        REQUIRE(batch.inputs.size() == size_t(rows * length));
        for (size_t i = 0; i < batch.targets.size(); ++i) {
          const int32_t target = batch.targets[i];
          if (target == -1) continue;
          ++targets[target];
          const bool first = i % size_t(length) == 0;
          REQUIRE((batch.inputs[i] == bos || batch.inputs[i] == target - 1));
          if (!first) REQUIRE(batch.inputs[i] == batch.targets[i - 1]);
        }
        REQUIRE(std::all_of(batch.inputs.begin(), batch.inputs.end(), [](int32_t id) { return id >= 0; }));
      }
    }
    CHECK(int64_t(targets.size()) == count_tokens(corpus));
    for (const auto& [token, count] : targets) CHECK((token != bos && count == 1));
  }
  const TokenCorpus corpus = corpus_of({10});
  CHECK(contains(complaint([&] { WindowLoader(corpus, {0, 4}); }), "batch: "));
  CHECK(contains(complaint([&] { WindowLoader(corpus, {1, 4}).batch(3); }), "expected batch 0 to 2, found 3"));
  CHECK(contains(complaint([&] { WindowLoader(corpus_of({1, 1}), {1, 4}); }), "validation: "));
}
