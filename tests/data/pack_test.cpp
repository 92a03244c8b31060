#include "data/pack.h"

#include "data/document_stream.h"
#include "data/shard_stream.h"
#include "data/token_loader.h"
#include "tests/data/small_corpus.h"

using namespace kappa;
using namespace kappa::test;

namespace {

namespace fs = std::filesystem;

std::string json_lines(int begin, int end) {
  std::string lines;
  for (int i = begin; i < end; ++i)
    lines += fmt::format("{{\"text\": \"the hat of document {}, and {} cats\"}}\n", i, i * i % 97);
  return lines;
}

/// What training makes of these documents of `files`.
std::string rows_of(const std::vector<fs::path>& files, const TextStreamOptions& options, int64_t count, int64_t length) {
  const DocumentStream stream(tokenizer(), files, options);
  Packer packer(stream, LongDocuments::crop);
  std::string rows;
  for (int64_t r = 0; r < count; ++r) {
    std::vector<int32_t> row(size_t(length) + 1);
    packer.pack(row);
    rows += fmt::format("{{\"inputs\":[{}],\"targets\":[{}]}}\n", fmt::join(row.begin(), row.end() - 1, ","),
                        fmt::join(row.begin() + 1, row.end(), ","));
  }
  return rows;
}

}  // namespace

TEST_CASE("pack: rows of shards are the loader's, and in two goes they are the same") {
  const TextFolder folder;
  ragged().write(folder);
  const auto packed = [&](int64_t rows, const std::string& name, std::optional<fs::path> state = {}) {
    PackRequest request;
    request.path = folder.path(), request.out = folder / name, request.state = std::move(state);
    request.rank.world = 2;
    request.rows = rows, request.length = 12, request.batch = 3;
    pack_rows(tokenizer(), request);
    return read_file(folder / name);
  };
  const std::string whole = packed(60, "whole.jsonl"), first = packed(21, "first.jsonl", folder / "state.json"),
                    rest = packed(39, "rest.jsonl", folder / "state.json");
  CHECK(first + rest == whole);
  CHECK(packed(20, "cut.jsonl") == first.substr(0, first.rfind('\n', first.size() - 2) + 1));

  ShardStream stream(tokenizer(), split_files(folder.path(), {}, Split::train), {.rank = {0, 2}});
  Packer packer(stream, LongDocuments::crop);
  size_t at = 0;
  for (int r = 0; r < 60; ++r, at = whole.find('\n', at) + 1) {
    std::vector<int32_t> row(13);
    packer.pack(row);
    const auto line = nlohmann::json::parse(whole.substr(at, whole.find('\n', at) - at));
    CHECK(line["inputs"].get<std::vector<int32_t>>() == std::vector<int32_t>(row.begin(), row.end() - 1));
    CHECK(line["targets"].get<std::vector<int32_t>>() == std::vector<int32_t>(row.begin() + 1, row.end()));
  }
  CHECK(at == whole.size());

  // From a state of the paper's code: the next row group, an empty buffer.
  folder.write("theirs.json", R"({"pq_idx": 1, "rg_idx": 2, "epoch": 2})");
  const std::string theirs = packed(3, "theirs.jsonl", folder / "theirs.json");
  Packer resumed(stream, LongDocuments::crop);
  resumed.begin_at(stream.slice_after({1, 2, 2}));
  std::vector<int32_t> row(13);
  resumed.pack(row);
  CHECK(nlohmann::json::parse(theirs.substr(0, theirs.find('\n')))["inputs"].get<std::vector<int32_t>>() ==
        std::vector<int32_t>(row.begin(), row.end() - 1));

  for (const char* bad : {"", "[]", "{}", "{\"pq_idx\": 9, \"rg_idx\": 0}", "{\"pq_idx\": \"a\", \"rg_idx\": 0}",
                          "{\"pq_idx\": 0, \"rg_idx\": 9223372036854775807}", "{\"slices\": 1, \"stream\": 1, \"waiting\": []}",
                          "{\"slices\": 1}", "{\"pq_idx\": 0, \"rg_idx\": 0, \"slice\": 1}"}) {
    const auto path = folder.write("bad.json", bad);
    const std::string why = complaint([&] { packed(3, "none.jsonl", path); });
    CHECK(contains(why, "bad.json: "));
    CHECK_FALSE(contains(why, "json.exception"));
    CHECK_FALSE(fs::exists(folder / "none.jsonl"));
    CHECK(read_file(path) == bad);
  }
}

TEST_CASE("pack: what is damaged ends it and leaves no file, or is left out and counted") {
  const TextFolder folder;
  TestRowGroup damaged = plain_row_group({"first", "second"});
  damaged.pages.push_back({.values = 1, .body = "broken"});
  damaged.rows = 3;
  const TestRowGroup good = plain_row_group(Texts(40, "the cat and the hat"));
  folder.write("a.parquet", parquet_file({good, damaged, good}));
  folder.write("b.parquet", parquet_file({good}));
  folder.write("c.parquet", parquet_file({good}));
  PackRequest request;
  request.path = folder.path(), request.out = folder / "rows.jsonl";
  request.rows = 20, request.length = 12, request.batch = 4;
  CHECK(contains(complaint([&] { pack_rows(tokenizer(), request); }), "a.parquet: row group 1, page 1: "));
  CHECK_FALSE(fs::exists(folder / "rows.jsonl"));
  request.documents.skip_damaged = true;
  const ReadCounts counts = pack_rows(tokenizer(), request);
  CHECK(counts == ReadCounts{.damaged = 1});  // though a thousand documents are some epochs
  const std::string rows = read_file(folder / "rows.jsonl");
  CHECK(std::ranges::count(rows, '\n') == 20);

  // The same as from shards without it.
  folder.write("a.parquet", parquet_file({good, good}));
  request.documents.skip_damaged = false;
  pack_rows(tokenizer(), request);
  CHECK(read_file(folder / "rows.jsonl") == rows);
}

TEST_CASE("pack: JSON Lines and text, of any split and rank, and in two goes the rows are the same") {
  const TextFolder folder, out;
  const auto a = folder.write("a.jsonl", json_lines(0, 300)), b = folder.write("b.txt", "a text of the corpus"),
             c = folder.write("c.jsonl", json_lines(300, 500));
  const auto packed = [&](PackRequest request, int64_t rows, std::optional<fs::path> state = {}) {
    request.rows = rows, request.length = 12, request.batch = 3;
    request.out = out / "rows.jsonl", request.state = std::move(state);
    pack_rows(tokenizer(), request);
    return read_file(out / "rows.jsonl");
  };
  const auto asked = [](const fs::path& path, const std::string& validation, Split split, RankOf rank = {}) {
    PackRequest request;
    request.path = path, request.validation = Validation::parse(validation), request.split = split, request.rank = rank;
    return request;
  };
  const PackRequest share = asked(folder.path(), "0.2", Split::train, {1, 2}),
                    held_out = asked(folder.path(), "0.2", Split::validation),
                    file = asked(folder.path(), c.string(), Split::train), lone = asked(c, "", Split::validation);
  CHECK(packed(share, 60) == rows_of({a, b, c}, {.rank = {1, 2}, .share = {5, Split::train}}, 60, 12));
  CHECK(packed(held_out, 60) == rows_of({a, b, c}, {.share = {5, Split::validation}}, 60, 12));
  CHECK(packed(file, 60) == rows_of({a, b}, {}, 60, 12));
  CHECK(packed(lone, 60) == rows_of({c}, {}, 60, 12));  // of which nothing is said, so that all is for validation
  for (PackRequest request : {share, held_out, file, lone}) {
    request.workers = 3;
    const std::string whole = packed(request, 600);  // some epochs
    fs::remove(out / "state.json");
    const std::string first = packed(request, 450, out / "state.json");
    CHECK(first + packed(request, 150, out / "state.json") == whole);
  }

  const auto refusal = [&](const PackRequest& request) { return complaint([&] { packed(request, 3, out / "state.json"); }); };
  CHECK(contains(refusal(share), "state.json: loader state: it was written by rank 0 of 1, and this is rank 1 of 2"));
  CHECK(contains(refusal(file), "state.json: loader state: it belongs to other training data"));
  out.write("state.json", R"({"pq_idx": 0, "rg_idx": 0, "epoch": 1})");  // of Parquet
  CHECK(contains(refusal(lone), "state.json: stream is missing"));
  CHECK(contains(complaint([&] { packed(lone, 3, folder / "none/state.json"); }), "state.json"));
  const auto empty = out.write("e.jsonl", "\n");
  for (const int64_t workers : {0, 1, 4}) {
    PackRequest request = asked(empty, "", Split::validation);
    request.workers = workers;
    CHECK(contains(complaint([&] { packed(request, 3); }), "e.jsonl: expected documents, found none"));
  }
  CHECK(contains(refusal(asked(c, "", Split::train)),
                 "c.jsonl: expected shards, of which the last is for validation, found one file"));
  CHECK(contains(refusal(asked(folder.path(), "", Split::train)), "found plain text"));
}

TEST_CASE("pack: a line that is no document ends it and leaves no file, or is left out and counted") {
  const TextFolder folder, out;
  const auto bad = folder.write("a.jsonl", json_lines(0, 40) + "{\"text\": 1}\n" + json_lines(40, 80)),
             good = out.write("b.jsonl", json_lines(0, 80));
  PackRequest request;
  request.path = bad, request.split = Split::validation, request.out = out / "rows.jsonl";
  request.rows = 9, request.length = 12, request.batch = 3;
  CHECK(contains(complaint([&] { pack_rows(tokenizer(), request); }), "a.jsonl:41: text: expected a string, found number"));
  CHECK_FALSE(fs::exists(out / "rows.jsonl"));
  request.documents.skip_damaged = true;
  CHECK(pack_rows(tokenizer(), request) == ReadCounts{.damaged = 1});
  CHECK(read_file(out / "rows.jsonl") == rows_of({good}, {}, 9, 12));
}
