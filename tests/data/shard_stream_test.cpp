#include "data/shard_stream.h"

#include "data/token_loader.h"
#include "data/tokenizer_file.h"
#include "tests/data/small_corpus.h"

using namespace kappa;
using namespace kappa::test;

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> shards_in(const fs::path& folder, Split split) { return split_files(folder, {}, split); }

/// spec/evaluation.md §4.2 taken at its word: the slices of a rank, one after the other, from a position on.
class SlowLoader {
 public:
  SlowLoader(std::vector<std::vector<Texts>> files, int64_t rank, int64_t world, std::optional<ShardPosition> resume = {})
      : files_(std::move(files)), rank_(rank), world_(world) {
    if (resume) {
      epoch_ = resume->epoch;
      file_ = resume->file;
      const int64_t base = resume->row_group / world + 1;
      group_ = base * world + rank;
    } else {
      group_ = rank;
    }
  }

  std::pair<Texts, ShardPosition> next() {
    for (;;) {
      while (group_ >= int64_t(files_[size_t(file_)].size())) {
        group_ = rank_;
        if (++file_ == int64_t(files_.size())) file_ = 0, ++epoch_;
      }
      const Texts& rows = files_[size_t(file_)][size_t(group_)];
      if (row_ < rows.size()) {
        const size_t end = std::min(row_ + 128, rows.size());
        Texts slice(rows.begin() + ptrdiff_t(row_), rows.begin() + ptrdiff_t(end));
        row_ = end;
        return {slice, {file_, group_ - rank_, epoch_}};
      }
      row_ = 0;
      group_ += world_;
    }
  }

 private:
  std::vector<std::vector<Texts>> files_;
  int64_t rank_, world_, file_ = 0, group_ = 0, epoch_ = 1;
  size_t row_ = 0;
};

}  // namespace

TEST_CASE("shards: the last file is for validation, the others are for training") {
  const TextFolder folder;
  ragged().write(folder);
  folder.write("notes.txt", "not a shard");
  const auto train = shards_in(folder.path(), Split::train), validation = shards_in(folder.path(), Split::validation);
  REQUIRE(train.size() == 5);
  CHECK(train[0].filename() == "shard_00000.parquet");
  CHECK(train[4].filename() == "shard_00004.parquet");
  CHECK(validation == std::vector<fs::path>{folder / "shard_00005.parquet"});
  CHECK(contains(complaint([&] { shards_in(folder / "shard_00002.parquet", Split::train); }),
                 "expected shards, of which the last is for validation, found one file"));
  CHECK(contains(complaint([&] { shards_in(folder / "none", Split::train); }), "there is no such file or folder"));
  const TextFolder empty;
  CHECK(contains(complaint([&] { shards_in(empty.path(), Split::train); }), "expected .parquet, .jsonl or .txt files"));
}

TEST_CASE("shards: slices and positions are the reference's, for every rank, over epochs") {
  const TextFolder folder;
  ragged().write(folder);
  const auto paths = shards_in(folder.path(), Split::train);
  const std::vector<std::vector<Texts>> files(ragged().texts.begin(), ragged().texts.end() - 1);
  for (int64_t world = 1; world <= 5; ++world)
    for (int64_t rank = 0; rank < world; ++rank) {
      const ShardStream stream(tokenizer(), paths, {.rank = {rank, world}});
      SlowLoader slow(files, rank, world);
      int64_t epoch = 0, last_number = -1;
      for (int64_t s = 0; s < 40; ++s) {
        const auto [texts, position] = slow.next();
        const auto segments = stream.slice(s).segments;
        REQUIRE(segments.size() == texts.size());
        for (size_t i = 0; i < texts.size(); ++i) {
          REQUIRE(segments[i].tokens == tokens_of(texts[i]));
          REQUIRE(segments[i].number > last_number);
          last_number = segments[i].number;
        }
        REQUIRE(stream.position(s) == position);
        REQUIRE(stream.begins_epoch(s) == (position.epoch > epoch));
        epoch = position.epoch;
      }
      // Any segment, in any order.
      for (const int64_t s : {7, 3, 30, 0}) {
        const auto segments = stream.slice(s).segments;
        for (const size_t i : {segments.size() - 1, size_t{0}})
          REQUIRE(stream.segment(segments[i].number).tokens == segments[i].tokens);
      }
    }
}

TEST_CASE("shards: from a position the reference goes on with the next row group, and so do we") {
  const TextFolder folder;
  ragged().write(folder);
  const auto paths = shards_in(folder.path(), Split::train);
  const std::vector<std::vector<Texts>> files(ragged().texts.begin(), ragged().texts.end() - 1);
  for (const int64_t world : {1, 2, 3})
    for (int64_t rank = 0; rank < world; ++rank) {
      const ShardStream stream(tokenizer(), paths, {.rank = {rank, world}});
      for (int64_t file = 0; file < 5; ++file)
        for (int64_t group = 0; group < 8; ++group)
          for (const int64_t epoch : {1, 3}) {
            SlowLoader slow(files, rank, world, ShardPosition{file, group, epoch});
            const int64_t first = stream.slice_after({file, group, epoch});
            for (int64_t s = first; s < first + 4; ++s) {
              const auto [texts, position] = slow.next();
              REQUIRE(stream.position(s) == position);
              const auto segments = stream.slice(s).segments;
              REQUIRE(segments.size() == texts.size());
              REQUIRE(segments[0].tokens == tokens_of(texts[0]));
            }
          }
      for (const ShardPosition bad : {ShardPosition{5, 0, 1}, {-1, 0, 1}, {0, -1, 1}, {0, 0, 0}})
        CHECK(contains(complaint([&] { stream.slice_after(bad); }),
                       "loader state: expected an epoch from 1 and a file from 0 to 4"));
    }
}

TEST_CASE("shards: a loader goes on from its state with the same batches, on the same rank, whatever its workers") {
  const TextFolder folder;
  ragged().write(folder);
  const auto loader = [&](RankOf rank, int64_t workers) {
    return PackedLoader(
        std::make_unique<ShardStream>(tokenizer(), shards_in(folder.path(), Split::train), TextStreamOptions{.rank = rank}),
        LongDocuments::crop, {.rows = 2, .length = 20}, workers);
  };
  PackedLoader one = loader({1, 2}, 0), two = loader({1, 2}, 3), other = loader({0, 3}, 0);
  for (int i = 0; i < 25; ++i) one.next();
  const LoaderState state = one.state();
  two.restore(state);
  for (int i = 0; i < 60; ++i) REQUIRE(one.next().inputs == two.next().inputs);
  CHECK(one.state() == two.state());
  CHECK(
      contains(complaint([&] { other.restore(state); }), "loader state: it was written by rank 1 of 2, and this is rank 0 of 3"));
  CHECK(loader_state("s.json", to_json(state)) == state);
  CHECK(state.packer.waiting.size() >= 900);  // half consumed, and bounded
  CHECK(state.packer.waiting.size() < 1000 + 128);
}

TEST_CASE("shards: a share is taken by rows, the same for all ranks and for who reads documents") {
  const TextFolder folder;
  std::vector<std::vector<std::optional<std::string>>> groups(6);
  for (int i = 0; i < 90; ++i)
    groups[size_t(i / 15)].push_back(i % 7 == 3 ? std::nullopt : std::optional(fmt::format("text {}", i)));
  std::vector<TestRowGroup> written;
  for (const auto& g : groups) written.push_back(optional_row_group(g));
  const auto path = folder.write("lone.parquet", parquet_file(written, true));
  for (const Split split : {Split::train, Split::validation}) {
    const Share share{4, split};
    std::set<std::vector<int32_t>> expected, found;
    for (int i = 0; i < 90; ++i)
      if (i % 7 != 3 && share.has(i + 1)) expected.insert(tokens_of(fmt::format("text {}", i)));
    for (int64_t rank = 0; rank < 3; ++rank) {
      const ShardStream stream(tokenizer(), {path}, {.rank = {rank, 3}, .share = share});
      for (int64_t s = 0; s < 2; ++s)
        for (const Slice slice = stream.slice(s); const Segment& segment : slice.segments)
          CHECK(found.insert(segment.tokens).second);
    }
    CHECK(found == expected);
    found.clear();
    const auto reader = open_files({path}, {}, share);
    for (std::string text; reader->next(text);) CHECK(found.insert(tokens_of(text)).second);
    CHECK(found == expected);
  }
}

TEST_CASE("shards: nulls are no documents, damaged row groups are left out whole where that is asked for") {
  const TextFolder folder;
  TestRowGroup damaged = optional_row_group({"first", "second"});
  damaged.pages.push_back({.values = 1, .body = "broken"});
  damaged.rows = 3;
  const auto nulls = optional_row_group({std::nullopt, std::nullopt});
  folder.write("a.parquet",
               parquet_file({optional_row_group({"one", std::nullopt, ""}), nulls, damaged, optional_row_group({"last"})}, true));
  folder.write("b.parquet", parquet_file({nulls}, true));
  const auto paths = shards_in(folder.path(), Split::train);

  const ShardStream strict(tokenizer(), paths), lenient(tokenizer(), paths, {.documents = {.skip_damaged = true}});
  const auto count = [](const SegmentStream& stream, int64_t slice) { return stream.slice(slice).segments.size(); };
  CHECK(count(strict, 0) == 2);
  CHECK(strict.slice(0).segments[1].number == 2);
  CHECK(strict.segment(2).tokens == tokens_of(""));
  CHECK(contains(complaint([&] { strict.segment(1); }), "there is no segment 1"));
  CHECK(count(strict, 1) == 0);
  CHECK(contains(complaint([&] { strict.slice(2); }), "a.parquet: row group 2, page 1: "));
  CHECK(count(strict, 3) == 1);
  for (int epoch = 0; epoch < 2; ++epoch) {
    const int64_t first = 4 * epoch;
    CHECK(count(lenient, first) == 2);
    CHECK(count(lenient, first + 1) == 0);
    CHECK(count(lenient, first + 2) == 0);
    CHECK(lenient.slice(first + 3).segments[0].tokens == tokens_of("last"));
    CHECK(lenient.slice(first).counts == ReadCounts{.nulls = epoch == 0});
    CHECK(lenient.slice(first + 2).counts == ReadCounts{.damaged = epoch == 0});
  }
  const ShardStream none(tokenizer(), shards_in(folder.path(), Split::validation));
  CHECK(contains(complaint([&] { none.slice(0); }), "b.parquet …: expected documents, found none"));
  CHECK(contains(complaint([&] { ShardStream(tokenizer(), paths, {.rank = {4, 5}}); }), "too few for rank 4 of 5"));
  CHECK(contains(complaint([&] { ShardStream(tokenizer(), paths, {.rank = {2, 2}}); }), "rank: expected 0 to 1, found 2"));
}

TEST_CASE("shards: a damaged file is left out and counted where that is asked for, also from within a row group on") {
  const TextFolder folder;
  TestRowGroup damaged = plain_row_group(Texts(200, "in front of the damage"));
  damaged.pages.push_back({.values = 1, .body = "broken"});
  damaged.rows = 201;
  const TestRowGroup good = plain_row_group(Texts(200, "good"));
  folder.write("a.parquet", parquet_file({good, damaged, good}));
  folder.write("b.parquet", "PAR1 is not enough PAR1");
  folder.write("c.parquet", parquet_file({good}));
  const auto paths = shards_in(folder.path(), Split::train);
  CHECK(contains(complaint([&] { ShardStream(tokenizer(), paths); }), "b.parquet: "));
  const TextStreamOptions skip{.documents = {.skip_damaged = true}};
  const ShardStream lenient(tokenizer(), paths, skip);
  Slice all;
  for (int64_t s = 0; s < 6; ++s) all.counts = all.counts + lenient.slice(s).counts;
  CHECK(all.counts == ReadCounts{.damaged = 1, .damaged_files = 1});
  CHECK(lenient.begins_epoch(6));

  // What was read of it before the damage was met is still known.
  const std::vector<fs::path> first{paths.front()};
  const ShardStream strict(tokenizer(), first), skipping(tokenizer(), first, skip);
  CHECK(strict.fingerprint() == skipping.fingerprint());
  CHECK(strict.slice(2).segments.size() == 128);
  CHECK(contains(complaint([&] { strict.slice(3); }), "a.parquet: row group 1, page 1: "));
  CHECK(strict.slice(2).segments.size() == 128);  // again, after an error
  CHECK(skipping.segment(300).tokens == strict.segment(300).tokens);
  CHECK(skipping.slice(3).segments.empty());
  CHECK(skipping.segment(300).tokens == strict.segment(300).tokens);
  CHECK(skipping.slice(2).counts.damaged == 1);
  CHECK(skipping.slice(4).segments.size() == 128);
}

TEST_CASE("shards: streams that differ have different fingerprints") {
  const TextFolder folder;
  ragged().write(folder);
  const auto train = shards_in(folder.path(), Split::train), validation = shards_in(folder.path(), Split::validation);
  const Tokenizer other(train_bpe(Texts{"another text, another tokenizer"}, 280));
  const std::set<uint64_t> prints{ShardStream(tokenizer(), train).fingerprint(),
                                  ShardStream(tokenizer(), validation).fingerprint(),
                                  ShardStream(other, train).fingerprint(),
                                  ShardStream(tokenizer(), train, {.share = {2, Split::train}}).fingerprint(),
                                  ShardStream(tokenizer(), train, {.share = {2, Split::validation}}).fingerprint(),
                                  ShardStream(tokenizer(), {train.begin(), train.end() - 1}).fingerprint()};
  CHECK(prints.size() == 6);
  CHECK(prints.contains(ShardStream(tokenizer(), train).fingerprint()));
}

TEST_CASE("the paper's rows: what its loader gives for its tokenizer") {
  const auto shared = shared_folder("recorded rows");
  if (!shared) return;
  const fs::path folder = *shared / "golden/packing";
  const Tokenizer paper = load_tokenizer(*shared / "tokenizer/kappa32k");
  for (const auto& run : nlohmann::json::parse(read_file(folder / "expected.json"))) {
    const auto split = run["split"] == "train" ? Split::train : Split::validation;
    auto owned = std::make_unique<ShardStream>(paper, shards_in(folder / "shards", split),
                                               TextStreamOptions{.rank = {run["rank"], run["world"]}});
    const ShardStream& stream = *owned;
    PackedLoader loader(std::move(owned), LongDocuments::crop, {.rows = run["batch"], .length = run["seq_len"]});
    std::vector<std::vector<int32_t>> rows;
    while (int64_t(rows.size()) < run["rows"].get<int64_t>()) {
      const Batch batch = loader.next();
      for (int64_t r = 0; r < batch.rows; ++r) {
        const auto first = batch.inputs.begin() + r * batch.length;
        rows.emplace_back(first, first + batch.length);
        rows.back().push_back(batch.targets[size_t((r + 1) * batch.length - 1)]);
      }
    }
    CHECK(rows[0] == run["first_rows"][0].get<std::vector<int32_t>>());
    CHECK(rows[1] == run["first_rows"][1].get<std::vector<int32_t>>());
    CHECK(rows.back() == run["last_row"].get<std::vector<int32_t>>());
    const auto& state = run["state"];
    CHECK(stream.position(loader.state().packer.slices - 1) == ShardPosition{state["pq_idx"], state["rg_idx"], state["epoch"]});
  }
}
