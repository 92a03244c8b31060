#include "data/document_stream.h"

#include <zlib.h>

#include "data/token_loader.h"
#include "tests/data/small_corpus.h"

using namespace kappa;
using namespace kappa::test;

namespace {

namespace fs = std::filesystem;

std::string text_of(int64_t i) { return fmt::format("document {} of the corpus, the {} cat", i, i * i % 91); }

std::string lines(int64_t begin, int64_t end) {
  std::string all;
  for (int64_t i = begin; i < end; ++i) all += nlohmann::json{{"text", text_of(i)}}.dump() + (i % 9 ? "\n" : "\n\n");
  return all;
}

/// Three files with `count` documents together, of which one is plain text.
struct Corpus {
  TextFolder folder;
  std::vector<fs::path> files;
  explicit Corpus(int64_t count) {
    const std::string packed = (folder / "b.jsonl.gz").string(), middle = lines(count / 3, count - 1);
    gzFile gz = gzopen(packed.c_str(), "wb");
    gzwrite(gz, middle.data(), unsigned(middle.size()));
    gzclose(gz);
    files = {folder.write("a.jsonl", lines(0, count / 3)), packed, folder.write("c.txt", text_of(count - 1))};
  }
};

}  // namespace

TEST_CASE("document stream: slices of each rank's share, epoch after epoch, in any order") {
  for (const int64_t count : {3, 255, 256, 257, 700}) {
    const Corpus corpus(count);
    for (const int64_t every : {0, 3})
      for (const Split split : {Split::train, Split::validation})
        for (const int64_t world : {1, 3}) {
          const Share share{every, split};
          std::vector<std::vector<int64_t>> mine(static_cast<size_t>(world));
          for (int64_t i = 0, n = 0; i < count; ++i)
            if (share.has(i + 1)) mine[size_t(n++ % world)].push_back(i);
          for (int64_t rank = 0; rank < world; ++rank) {
            const auto& expected = mine[size_t(rank)];
            const TextStreamOptions options{.rank = {rank, world}, .share = share};
            const DocumentStream stream(tokenizer(), corpus.files, options);
            if (expected.empty()) {
              CHECK(contains(complaint([&] { stream.slice(0); }), "expected documents, found none for rank"));
              continue;
            }
            const auto size = int64_t(expected.size()), slices = (size + 127) / 128;
            const auto check_slice = [&](const DocumentStream& s, int64_t index) {
              const auto segments = s.slice(index).segments;
              const int64_t first = index % slices * 128;
              REQUIRE(int64_t(segments.size()) == std::min<int64_t>(128, size - first));
              for (size_t i = 0; i < segments.size(); ++i) {
                REQUIRE(segments[i].number == index / slices * size + first + int64_t(i));
                REQUIRE(segments[i].tokens == tokens_of(text_of(expected[size_t(first) + i])));
              }
            };
            for (int64_t index = 0; index < 2 * slices + 2; ++index) check_slice(stream, index);
            for (const int64_t index : {slices, int64_t{0}, 3 * slices + slices / 2}) {
              check_slice(stream, index);
              check_slice(DocumentStream(tokenizer(), corpus.files, options), index);  // one that knows nothing yet
              REQUIRE(DocumentStream(tokenizer(), corpus.files, options).begins_epoch(index) == (index % slices == 0));
            }
            for (const int64_t number : {5 * size + size / 2, size - 1, size, int64_t{0}}) {
              const DocumentStream fresh(tokenizer(), corpus.files, options);
              REQUIRE(fresh.segment(number).tokens == tokens_of(text_of(expected[size_t(number % size)])));
              REQUIRE(fresh.segment(number).number == number);
            }
          }
        }
  }
}

TEST_CASE("document stream: a loader goes on from its state, in a later epoch too") {
  const Corpus corpus(700);
  const auto loader = [&](int64_t workers) {
    return PackedLoader(std::make_unique<DocumentStream>(tokenizer(), corpus.files), LongDocuments::crop,
                        {.rows = 2, .length = 40}, workers);
  };
  PackedLoader one = loader(0);
  for (const int batches : {3, 100, 400}) {
    for (int i = 0; i < batches; ++i) one.next();
    PackedLoader two = loader(2);
    two.restore(one.state());
    for (int i = 0; i < 20; ++i) REQUIRE(one.next().inputs == two.next().inputs);
  }
}

TEST_CASE("document stream: what is wrong, and what is left out") {
  const TextFolder folder;
  const auto good = folder.write("a.jsonl", lines(0, 150)), empty = folder.write("b.jsonl", ""),
             bad = folder.write("c.jsonl", lines(0, 3) + "{\"text\": 1}\n" + lines(3, 6));
  const auto slices = [&](std::vector<fs::path> files, bool skip) {
    const DocumentStream stream(tokenizer(), std::move(files), {.documents = {.skip_damaged = skip}});
    Slice all;
    for (int64_t s = 0; s < 2; ++s) {
      Slice slice = stream.slice(s);
      all.counts = all.counts + slice.counts;
      all.segments.insert(all.segments.end(), slice.segments.begin(), slice.segments.end());
    }
    return all;
  };
  CHECK(contains(complaint([&] { slices({empty}, false); }), "b.jsonl: expected documents, found none"));
  const DocumentStream nothing(tokenizer(), {empty});
  for (const int64_t index : {0, 1, 0})  // however often it is asked
    CHECK(contains(complaint([&] { nothing.slice(index); }), "b.jsonl: expected documents, found none"));
  CHECK(contains(complaint([&] { slices({good, bad}, false); }), "c.jsonl:5: text: expected a string, found number"));
  CHECK(contains(complaint([&] { slices({folder / "none.jsonl"}, false); }), "none.jsonl: "));
  const Slice lenient = slices({good, bad, empty}, true);
  CHECK(lenient.segments.size() == 156);
  CHECK(lenient.counts == ReadCounts{.damaged = 1});

  const auto print = [&](std::vector<fs::path> files, const TextStreamOptions& options) {
    return DocumentStream(tokenizer(), std::move(files), options).fingerprint();
  };
  const std::set<uint64_t> prints{print({good}, {}), print({bad}, {}), print({good, bad}, {}),
                                  print({good}, {.share = {2, Split::train}}), print({good}, {.documents = {.field = "body"}})};
  CHECK(prints.size() == 5);
  CHECK(print({good}, {.rank = {1, 2}}) == print({good}, {}));
}
