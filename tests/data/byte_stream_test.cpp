#include "data/byte_stream.h"

#include <zlib.h>
#include <zstd.h>

#include "data/documents.h"
#include "tests/data/support.h"

using namespace kappa;
using namespace kappa::test;

namespace {

/// Bytes in memory, given out a few at a time.
class Drops : public ByteStream {
 public:
  Drops(std::string bytes, size_t most) : bytes_(std::move(bytes)), most_(most) {}
  size_t read(std::span<char> into) override {
    const size_t count = std::min({into.size(), most_, bytes_.size() - at_});
    std::copy_n(bytes_.begin() + ptrdiff_t(at_), count, into.begin());
    at_ += count;
    return count;
  }

 private:
  std::string bytes_;
  size_t most_, at_ = 0;
};

std::string all(ByteStream& stream, size_t room) {
  std::string bytes, part(room, '\0');
  for (size_t n = stream.read(part); n > 0; n = stream.read(part)) bytes.append(part, 0, n);
  return bytes;
}

std::string gzip(const std::string& text) {
  z_stream z{};
  REQUIRE(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string packed(deflateBound(&z, text.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = uInt(text.size());
  z.next_out = reinterpret_cast<Bytef*>(packed.data());
  z.avail_out = uInt(packed.size());
  REQUIRE(deflate(&z, Z_FINISH) == Z_STREAM_END);
  packed.resize(z.total_out);
  deflateEnd(&z);
  return packed;
}

std::string zstd(const std::string& text) {
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 3));
  return packed;
}

std::string some_text(std::mt19937_64& random, int64_t size) {
  std::string text;
  while (int64_t(text.size()) < size)
    text += random_below(random, 5) ? std::string("again and ") : std::string(1, char(random()));
  return text;
}

}  // namespace

TEST_CASE("byte stream: gzip and Zstandard, one stream or several, in drops of any size") {
  std::mt19937_64 random(11);
  for (int round = 0; round < 40; ++round) {
    const std::string a = some_text(random, random_below(random, 300'000)), b = some_text(random, random_below(random, 50));
    const size_t drop = size_t(1 + random_below(random, round % 2 ? 5 : 100'000)),
                 room = size_t(1 + random_below(random, 70'000));
    CHECK(all(*gunzip(std::make_unique<Drops>(gzip(a) + gzip("") + gzip(b), drop), "a"), room) == a + b);
    CHECK(all(*unzstd(std::make_unique<Drops>(zstd(a) + zstd("") + zstd(b), drop), "a"), room) == a + b);
  }
  CHECK(all(*gunzip(std::make_unique<Drops>("", 1), "a"), 10).empty());
  CHECK(all(*unzstd(std::make_unique<Drops>("", 1), "a"), 10).empty());
}

TEST_CASE("byte stream: compressed bytes that end early or are damaged are refused") {
  std::mt19937_64 random(13);
  const std::string text = some_text(random, 100'000);
  for (const bool is_gzip : {true, false}) {
    const std::string packed = is_gzip ? gzip(text) : zstd(text);
    const auto read = [&](const std::string& bytes) {
      auto drops = std::make_unique<Drops>(bytes, 1000);
      return all(is_gzip ? *gunzip(std::move(drops), "name") : *unzstd(std::move(drops), "name"), 4096);
    };
    for (const size_t cut : {size_t{1}, size_t{3}, packed.size() / 2, packed.size() - 1})
      CHECK(complaint([&] { read(packed.substr(0, cut)); }) == "name: expected more compressed bytes, found the end of the file");
    CHECK(contains(complaint([&] { read("no such format"); }), "damaged bytes"));
    CHECK(contains(complaint([&] { read(packed + "no such format"); }), "damaged bytes"));
    for (int i = 0; i < 200; ++i) {
      std::string bad = packed;
      bad[size_t(random_below(random, int64_t(bad.size())))] ^= char(1 + random_below(random, 255));
      if (const std::string message = complaint([&] { read(bad); }); !message.empty()) REQUIRE(message.starts_with("name: "));
    }
  }
}

TEST_CASE("byte stream: zeros after gzip are the filling of a block, before it they are damage") {
  const std::string packed = gzip("some text");
  for (const size_t most : {1, 100, 1 << 20}) {
    const auto unpacked = [&](const std::string& bytes) {
      return all(*gunzip(std::make_unique<Drops>(bytes, most), "a.gz"), 1000);
    };
    CHECK(unpacked(packed + std::string(512, 0)) == "some text");
    CHECK(unpacked(fmt::format("{}{}{}", packed, std::string(70'000, 0), packed)) == "some textsome text");
    CHECK_THROWS_AS(unpacked(std::string(2, 0) + packed), InputError);
  }
}

TEST_CASE("lines: cut at line feeds, however the bytes come") {
  std::mt19937_64 random(17);
  for (int round = 0; round < 60; ++round) {
    std::string text;
    std::vector<std::string> expected;
    for (int64_t n = random_below(random, 20); n > 0; --n) {
      expected.push_back(some_text(random, random_below(random, round % 3 ? 10 : 100'000)));
      std::erase(expected.back(), '\n');
      text += expected.back() + "\n";
    }
    if (round % 2 && !expected.empty() && !expected.back().empty()) text.pop_back();  // the last line may lack it
    Lines lines(std::make_unique<Drops>(text, size_t(1 + random_below(random, 1000))), "name");
    std::vector<std::string> found;
    for (std::string_view line; lines.next(line);) {
      found.emplace_back(line);
      REQUIRE(lines.number() == int64_t(found.size()));
    }
    REQUIRE(found == expected);
  }
}

TEST_CASE("documents: compressed JSON Lines, Parquet, and folders of both") {
  const TextFolder folder;
  const std::string lines = "{\"text\": \"one\", \"body\": \"1\"}\n\n{\"body\": \"2\", \"text\": \"two\"}\n";
  folder.write("b.jsonl.gz", gzip(lines));
  folder.write("c.jsonl.zst", zstd(lines));
  std::filesystem::copy_file(source_dir() / "tests/data/fixtures/parquet/nulls.parquet", folder / "a.parquet");
  const auto read = [&](const std::filesystem::path& path, const DocumentOptions& options = {}) {
    std::vector<std::string> texts;
    const auto reader = open_documents(path, options);
    for (std::string text; reader->next(text);) texts.push_back(text);
    return std::pair(texts, reader->counts());
  };
  using Texts = std::vector<std::string>;
  CHECK(read(folder / "b.jsonl.gz").first == Texts{"one", "two"});
  CHECK(read(folder / "c.jsonl.zst", {.field = "body"}).first == Texts{"1", "2"});
  const auto [rows, counts] = read(folder / "a.parquet");
  CHECK(int64_t(rows.size()) + counts.nulls == 40);
  CHECK(counts.nulls > 0);
  const auto [texts, total] = read(folder.path());
  CHECK(texts.size() == rows.size() + 4);
  CHECK(total == counts);
  CHECK(contains(complaint([&] { read(folder / "a.parquet", {.field = "body"}); }), "named body"));
  CHECK(contains(complaint([&] { read(folder.write("d.jsonl.gz", gzip("{\"text\": 1}\n"))); }),
                 "d.jsonl.gz:1: text: expected a string"));
  CHECK(contains(complaint([&] { read(folder.write("d.jsonl.gz", gzip(lines).substr(0, 20))); }), "d.jsonl.gz: expected more"));
}
