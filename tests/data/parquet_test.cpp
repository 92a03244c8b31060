#include "data/parquet/text_reader.h"
#include "tests/data/support.h"
#include "tests/support/parquet_writer.h"

using namespace kappa;
using namespace kappa::test;
using namespace kappa::parquet;
using Texts = std::vector<std::string>;
using Rows = std::vector<std::optional<std::string>>;

namespace {

Rows read(TextReader& reader, int64_t row_group) {
  Rows rows;
  reader.open(row_group);
  for (auto texts = reader.next(); !texts.empty(); texts = reader.next()) {
    REQUIRE(texts.size() <= decoded_at_once);
    for (const std::string_view text : texts)
      rows.push_back(text.data() == nullptr ? std::nullopt : std::optional<std::string>(text));
  }
  return rows;
}

Rows read(const File& file) {
  TextReader reader(file);
  Rows all;
  for (int64_t g = 0; g < file.row_groups(); ++g) {
    const Rows rows = read(reader, g);
    REQUIRE(int64_t(rows.size()) == file.rows(g));
    all.insert(all.end(), rows.begin(), rows.end());
  }
  return all;
}

Rows read_bytes(const std::string& bytes) { return read(File::of_bytes(bytes, "file")); }

std::string complaint_about(const std::string& bytes) {
  return complaint([&] { read_bytes(bytes); });
}

Rows rows_of(const Texts& texts) { return {texts.begin(), texts.end()}; }

/// As scripts/make-parquet-fixtures.py computes it.
std::string digest(const Rows& rows) {
  uint64_t hash = 0xcbf29ce484222325u;
  const auto add = [&](uint8_t byte) { hash = (hash ^ byte) * 0x100000001b3u; };
  for (const auto& row : rows) {
    for (int i = 0; i < 8; ++i) add(uint8_t((row ? uint64_t(row->size()) : ~uint64_t{0}) >> 8 * i));
    for (const char c : row.value_or("")) add(uint8_t(c));
  }
  return fmt::format("{:016x}", hash);
}

Texts random_texts(std::mt19937_64& random, int64_t most, int64_t longest) {
  Texts texts;
  for (int64_t n = random_below(random, most); n > 0; --n) {
    std::string text =
        texts.empty() ? "" : texts.back().substr(0, size_t(random_below(random, int64_t(texts.back().size()) + 1)));
    for (int64_t k = random_below(random, longest); k > 0; --k) text += char('a' + random_below(random, 26));
    texts.push_back(text);
  }
  return texts;
}

std::string join(const Texts& texts) { return fmt::format("{}", fmt::join(texts, "")); }

std::vector<int32_t> lengths(const Texts& texts) {
  std::vector<int32_t> all;
  for (const auto& text : texts) all.push_back(int32_t(text.size()));
  return all;
}

std::string delta_length(const Texts& texts) { return delta_packed(lengths(texts)) + join(texts); }

std::string delta_byte_array(const Texts& texts) {
  std::vector<int32_t> prefixes;
  Texts suffixes;
  for (size_t i = 0; i < texts.size(); ++i) {
    size_t shared = 0;
    while (i > 0 && shared < texts[i].size() && shared < texts[i - 1].size() && texts[i][shared] == texts[i - 1][shared])
      ++shared;
    prefixes.push_back(int32_t(shared));
    suffixes.push_back(texts[i].substr(shared));
  }
  return delta_packed(prefixes) + delta_length(suffixes);
}

std::string one_page(const TestPage& page, int64_t rows = -1) {
  return parquet_file({{.rows = rows < 0 ? page.values : rows, .pages = {page}}});
}

}  // namespace

TEST_CASE("parquet: files of other writers") {
  const auto folder = source_dir() / "tests/data/fixtures/parquet";
  const auto all = nlohmann::json::parse(read_file(folder / "expected.json"));
  int files = 0;
  for (const auto& recorded : all.items()) {
    const std::string& name = recorded.key();
    const auto& expected = recorded.value();
    INFO(name);
    const std::string bytes = read_file(folder / name);
    const bool has_codec = complaint([&] { File::of_bytes(bytes, name); }).find("built without") == std::string::npos;
    if (!has_codec) continue;
    const File file(folder / name);
    const Rows rows = read(file);
    CHECK(int64_t(rows.size()) == expected["rows"].get<int64_t>());
    CHECK(std::count(rows.begin(), rows.end(), std::nullopt) == expected["nulls"].get<int64_t>());
    CHECK(digest(rows) == expected["digest"].get<std::string>());
    CHECK(digest(read(File::of_bytes(bytes, name))) == digest(rows));
    ++files;
  }
  CHECK(files >= 15);
}

TEST_CASE("parquet: the examples of the format's description") {
  // Numbers 0 to 7 in 3 bits each, and a run of sixty 5s.
  CHECK(packed_bits({0, 1, 2, 3, 4, 5, 6, 7}, 3) == "\x88\xC6\xFA");
  RunLengthDecoder runs("\x03\x88\xC6\xFA\x78\x05", 3, "test");
  std::vector<uint32_t> numbers(68, 99), expected{0, 1, 2, 3, 4, 5, 6, 7};
  expected.resize(68, 5);
  runs.decode(numbers);
  CHECK(numbers == expected);

  for (const std::vector<int32_t>& values : {std::vector<int32_t>{1, 2, 3, 4, 5}, {7, 5, 3, 1, 2, 3, 4, 5}, {42}, {}}) {
    const std::string bytes = delta_packed(values) + "behind";
    DeltaDecoder deltas(bytes, "test");
    CHECK(deltas.behind() == "behind");
    CHECK(deltas.left() == values.size());
    std::vector<uint32_t> found(values.size());
    deltas.decode(found);
    CHECK(std::equal(found.begin(), found.end(), values.begin(), values.end(),
                     [](uint32_t a, int32_t b) { return int64_t{a} == b; }));
    CHECK(deltas.behind() == "behind");
  }
}

TEST_CASE("parquet: integers of every width, whole and in parts") {
  std::mt19937_64 random(3);
  for (int width = 0; width <= 32; ++width) {
    std::string bytes;
    std::vector<uint32_t> expected;
    const uint64_t mask = (uint64_t{1} << width) - 1;
    for (int run = 0; run < 12; ++run) {
      if (random() % 2) {
        std::vector<uint32_t> part(8 * (1 + random() % 5));
        for (auto& n : part) n = uint32_t(random() & mask);
        bytes += varint(part.size() / 8 << 1 | 1) + packed_bits(part, width);
        expected.insert(expected.end(), part.begin(), part.end());
      } else {
        const auto value = uint32_t(random() & mask);
        const size_t count = random() % 50;
        bytes += varint(count << 1);
        for (int i = 0; i < (width + 7) / 8; ++i) bytes += char(value >> 8 * i & 255);
        expected.insert(expected.end(), count, value);
      }
    }
    std::vector<uint32_t> found(expected.size());
    RunLengthDecoder decoder(bytes, width, "test");
    for (size_t at = 0; at < found.size();) {
      const size_t n = std::min<size_t>(1 + random() % 40, found.size() - at);
      decoder.decode(std::span(found).subspan(at, n));
      at += n;
    }
    REQUIRE(found == expected);
    uint32_t more[8];
    if (width > 0) REQUIRE(contains(complaint([&] { decoder.decode(more); }), "test: expected 1 bytes, found 0"));
  }
}

TEST_CASE("parquet: every encoding, in pages of both versions, with and without nulls") {
  std::mt19937_64 random(7);
  for (int round = 0; round < 150; ++round) {
    const Texts texts = random_texts(random, round % 10 == 0 ? 3000 : 40, round % 7 == 0 ? 500 : 12);
    const auto n = int32_t(texts.size());
    CHECK(read_bytes(one_page({.values = n, .body = plain(texts)})) == rows_of(texts));
    CHECK(read_bytes(one_page({.values = n, .body = delta_length(texts), .encoding = Encoding::delta_length_byte_array})) ==
          rows_of(texts));
    CHECK(read_bytes(one_page({.values = n, .body = delta_byte_array(texts), .encoding = Encoding::delta_byte_array})) ==
          rows_of(texts));

    Texts dictionary = random_texts(random, 40, 12);
    dictionary.push_back("last");
    int width = 0;
    while ((dictionary.size() - 1) >> width) ++width;
    std::vector<uint32_t> indices(size_t((n + 7) / 8 * 8));
    Texts chosen;
    for (auto& i : indices) {
      i = uint32_t(random() % dictionary.size());
      if (int32_t(chosen.size()) < n) chosen.push_back(dictionary[i]);
    }
    const std::string runs = char(width) + varint(indices.size() / 8 << 1 | 1) + packed_bits(indices, width);
    const TestPage entries{.type = PageType::dictionary, .values = int32_t(dictionary.size()), .body = plain(dictionary)};
    const TestPage data{.values = n, .body = runs, .encoding = Encoding::rle_dictionary};
    const TestPage index{.type = PageType::index, .body = "skipped"};
    CHECK(read_bytes(parquet_file({{.rows = n, .pages = {entries, index, data}}})) == rows_of(chosen));

    // Nulls: the same pages, with levels, in both versions.
    Rows rows;
    std::vector<uint32_t> levels(size_t((n + 7) / 8 * 8));
    Texts present;
    for (int32_t i = 0; i < n; ++i) {
      levels[size_t(i)] = random() % 3 != 0;
      rows.push_back(levels[size_t(i)] ? std::optional(texts[size_t(i)]) : std::nullopt);
      if (levels[size_t(i)]) present.push_back(texts[size_t(i)]);
    }
    const std::string level_runs = varint(levels.size() / 8 << 1 | 1) + packed_bits(levels, 1);
    CHECK(read_bytes(parquet_file({optional_row_group(rows)}, true)) == rows);
    for (const Encoding encoding : {Encoding::plain, Encoding::delta_length_byte_array, Encoding::delta_byte_array}) {
      const std::string values = encoding == Encoding::plain                     ? plain(present)
                                 : encoding == Encoding::delta_length_byte_array ? delta_length(present)
                                                                                 : delta_byte_array(present);
      const TestPage page{.type = PageType::data_v2,
                          .values = n,
                          .body = level_runs + values,
                          .encoding = encoding,
                          .nulls = n - int32_t(present.size()),
                          .definition = int32_t(level_runs.size()),
                          .compressed = random() % 2 == 0};
      CHECK(read_bytes(parquet_file({{.rows = n, .pages = {page}}}, true)) == rows);
      CHECK(read_bytes(parquet_file({{.rows = n, .pages = {page}, .codec = page.compressed ? Codec::none : Codec::zstd}},
                                    true)) == rows);
    }
  }
}

TEST_CASE("parquet: empty strings are not nulls, in any encoding") {
  const Texts empty(3);
  for (const auto& [encoding, body] : {std::pair(Encoding::plain, plain(empty)),
                                       {Encoding::delta_length_byte_array, delta_length(empty)},
                                       {Encoding::delta_byte_array, delta_byte_array(empty)}})
    CHECK(read_bytes(one_page({.values = 3, .body = body, .encoding = encoding})) == rows_of(empty));
}

TEST_CASE("parquet: row groups in any order, pages of one, views that hold until the next call") {
  TestRowGroup many;
  Texts texts;
  for (int i = 0; i < 50; ++i) {
    texts.push_back(fmt::format("text {}", i));
    many.pages.push_back({.values = 1, .body = plain({texts.back()})});
  }
  many.rows = 50;
  const std::string bytes = parquet_file({plain_row_group({"a", "", "b"}), many, {.rows = 0}, plain_row_group({"c"})});
  const File file = File::of_bytes(bytes, "file");
  REQUIRE(file.row_groups() == 4);
  TextReader reader(file);
  CHECK(read(reader, 3) == rows_of({"c"}));
  CHECK(read(reader, 1) == rows_of(texts));
  CHECK(read(reader, 0) == rows_of({"a", "", "b"}));
  CHECK(read(reader, 2).empty());
  reader.open(0);
  const auto views = reader.next();
  REQUIRE(views.size() == 3);
  CHECK(views[1].data() != nullptr);  // empty, not null
  CHECK(views[0].data() > bytes.data());
  CHECK(views[2].data() < bytes.data() + bytes.size());  // of the file itself
}

TEST_CASE("parquet: a page that claims much costs little") {
  constexpr int32_t most = std::numeric_limits<int32_t>::max();
  // Two thousand million nulls in one run, and as many copies of one string: handed out bit by bit.
  const std::string nulls = std::string("\x06\0\0\0", 4) + varint(uint64_t{most} << 1) + '\0';
  const TestPage entry{.type = PageType::dictionary, .values = 1, .body = plain({"again"})};
  const std::string copies = '\0' + varint(uint64_t{most} << 1);
  for (const std::string& bytes : {parquet_file({{.rows = most, .pages = {{.values = most, .body = nulls}}}}, true),
                                   parquet_file({{.rows = most,
                                   .pages = {entry, {.values = most, .body = copies, .encoding = Encoding::rle_dictionary}}}})}) {
    const File file = File::of_bytes(bytes, "file");
    TextReader reader(file);
    reader.open(0);
    for (int i = 0; i < 100; ++i) REQUIRE(reader.next().size() == decoded_at_once);
  }
  // Prefixes that make every string as long as the first: a few MiB at a time.
  const std::string megabyte(1 << 20, 'x');
  std::vector<int32_t> prefixes(3000, 1 << 20), suffixes(3000, 0);
  prefixes[0] = 0, suffixes[0] = 1 << 20;
  const std::string bytes = one_page({.values = 3000,
                                      .body = delta_packed(prefixes) + delta_packed(suffixes) + megabyte,
                                      .encoding = Encoding::delta_byte_array});
  const File file = File::of_bytes(bytes, "file");
  TextReader reader(file);
  reader.open(0);
  int64_t rows = 0;
  for (auto texts = reader.next(); !texts.empty(); texts = reader.next()) {
    REQUIRE(texts.size() <= 4);
    for (const auto text : texts) REQUIRE(text == megabyte);
    rows += int64_t(texts.size());
    if (rows > 100) break;
  }
}

TEST_CASE("parquet: what is damaged is named with its file, row group and page") {
  const TestRowGroup good = plain_row_group({"good"});
  const auto said = [&](const TestRowGroup& bad, bool optional = false) {
    const std::string message = complaint_about(parquet_file({optional ? optional_row_group({"good"}) : good, bad}, optional));
    INFO(message);
    CHECK(message.starts_with("file: row group 1"));
    CHECK_FALSE(contains(message, "\n"));
    return message;
  };
  const auto page = [](TestPage p, int64_t rows = -1) {
    const int64_t n = rows < 0 ? p.values : rows;
    return TestRowGroup{.rows = n, .pages = {std::move(p)}};
  };
  CHECK(contains(said(page({.values = 2, .body = plain({"a"})})), "page 0: length of a string: expected 4 bytes, found 0"));
  CHECK(contains(said(page({.values = 1, .body = plain({"abc"}).substr(0, 6)})), "page 0: string: expected 3 bytes, found 2"));
  CHECK(contains(said(page({.values = 1, .body = std::string("\xff\xff\xff\xff", 4)})), "expected 4294967295 bytes, found 0"));
  CHECK(contains(said(page({.values = 1, .body = plain({"a"}) + "!"})),
                 "page 0: expected the page to end with its last string, found 1"));
  CHECK(contains(said(page({.values = 3, .body = plain({"a", "b", "c"})}, 2)),
                 "expected at most the 2 rows that are left, found 3"));
  CHECK(contains(said(page({.values = 1, .body = plain({"a"})}, 3)), "page 1: expected pages with 2 more rows, found the end"));
  CHECK(contains(said(page({.values = -1}, 1)), "expected sizes and counts"));
  CHECK(contains(said(page({.values = 1, .body = "x", .size = 100})), "page 0: page: expected 100 bytes, found"));
  CHECK(contains(said(page({.values = 1, .body = "x", .size = -1})), "expected sizes and counts"));
  CHECK(contains(said(page({.values = 1, .body = plain({"a"}), .unpacked = 1 << 20})),
                 "UNCOMPRESSED: expected 1048576 bytes, found 5"));
  CHECK(contains(said(page({.values = 1, .body = plain({"a"}), .encoding = Encoding::rle_dictionary})),
                 "expected a dictionary before"));
  CHECK(contains(said(page({.values = 1, .body = plain({"a"}), .encoding = Encoding::byte_stream_split})), "BYTE_STREAM_SPLIT"));
  CHECK(contains(said(page({.values = 1, .body = plain({"a"}), .encoding = Encoding(77)})), "encoding 77"));
  CHECK(contains(said(page({.values = 1, .body = "\x05"}), true), "size of definition levels: expected 4 bytes, found 1"));
  CHECK(contains(said(page({.values = 1, .body = std::string("\x09\0\0\0\x02\x01", 6)}), true),
                 "definition levels: expected 9 bytes, found 2"));
  CHECK(contains(said(page({.values = 1, .body = std::string("\x02\0\0\0\x02\x07", 6)}), true),
                 "expected a value of 1 bits, found 7"));
  CHECK(contains(
      said(page({.type = PageType::data_v2, .values = 1, .body = "\x02\x01" + plain({"a"}), .nulls = 1, .definition = 2}), true),
      "expected 1 nulls, found 0"));
  CHECK(contains(said(page({.type = PageType::data_v2, .values = 1, .body = "ab", .definition = 3}), true),
                 "expected levels within"));

  const TestPage entries{.type = PageType::dictionary, .values = 2, .body = plain({"a", "b"})};
  const TestPage third{.values = 1, .body = std::string("\x02\x02\x02", 3), .encoding = Encoding::rle_dictionary};
  CHECK(contains(said({.rows = 1, .pages = {entries, third}}),
                 "page 1: indices: expected one of the dictionary's 2 strings, found 2"));
  CHECK(contains(said({.rows = 1, .pages = {entries, entries}}), "page 1: expected one dictionary, found a second"));
  CHECK(contains(said({.rows = 1, .pages = {{.type = PageType::dictionary, .values = 1 << 30, .body = "abcd"}}}),
                 "1073741824 strings in a dictionary of 4 bytes"));
  CHECK(contains(said(page({.values = 1, .body = varint(128) + varint(3), .encoding = Encoding::delta_length_byte_array})),
                 "lengths: "));
  CHECK(contains(
      said(page({.values = 1, .body = delta_length({"abc"}).substr(0, 6), .encoding = Encoding::delta_length_byte_array})),
      "string: expected 3 bytes, found 1"));
  CHECK(contains(said(page({.values = 2, .body = delta_length({"a"}), .encoding = Encoding::delta_length_byte_array})),
                 "lengths: expected 2 more values, found 1"));
  CHECK(contains(said(page({.values = 1, .body = delta_packed({-1}), .encoding = Encoding::delta_length_byte_array})),
                 "lengths: expected a length, found -1"));
  CHECK(contains(said(page({.values = 1, .body = delta_packed({1}) + delta_packed({0}), .encoding = Encoding::delta_byte_array})),
                 "lengths of prefixes: expected at most the 0 bytes of the string before, found 1"));
  CHECK(contains(said({.rows = 1, .pages = {{.values = 1, .body = plain({"a"})}}, .codec = Codec::snappy}), "SNAPPY: "));
  for (const Codec codec : {Codec::snappy, Codec::gzip, Codec::zstd})
    CHECK(contains(said({.rows = 1, .pages = {{.values = 1, .body = "packed", .unpacked = 1 << 29}}, .codec = codec}),
                   "6 bytes cannot stand for 536870912"));
}

TEST_CASE("parquet: a page's CRC is that of what stands in the file") {
  const std::string body = plain({"a"});
  // CRC-32 (reversed polynomial EDB88320), bit by bit.
  uint32_t crc = ~0u;
  for (const char c : body) {
    crc ^= uint8_t(c);
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  crc = ~crc;
  const auto with = [&](uint32_t value) { return one_page({.values = 1, .body = body, .crc = value}); };
  CHECK(read_bytes(with(crc)) == rows_of({"a"}));
  CHECK(complaint_about(with(crc ^ 1)) ==
        fmt::format("file: row group 0, page 0: expected the CRC {:08x}, found {:08x}", crc ^ 1, crc));
}

TEST_CASE("parquet: files that are none, or not whole") {
  CHECK(contains(complaint_about(""), "file: expected a Parquet file, found 0 bytes"));
  CHECK(contains(complaint_about("PAR1PAR1"), "file: expected a Parquet file, found 8 bytes"));
  CHECK(contains(complaint_about("once upon a time"), "which begins and ends with PAR1; found once … time"));
  CHECK(contains(complaint_about("PAR1 \xff\xff\xff\x7fPAR1"),
                 "expected a footer within the file's 13 bytes, found a length of 2147483647"));
  CHECK(contains(complaint_about(std::string("PAR1 \1\0\0\0PARE", 13)), "without a key, found an encrypted one"));
  const std::string good = parquet_file({plain_row_group({"good", "text"})});
  for (size_t cut = 0; cut < good.size(); ++cut) REQUIRE(complaint_about(good.substr(0, cut)).starts_with("file: "));
  const TextFolder folder;
  CHECK(contains(complaint([&] { File(folder / "none.parquet"); }), "none.parquet: cannot open"));
  CHECK(contains(complaint([&] { File(folder.path()); }), "expected a regular file"));
}

TEST_CASE("parquet: the column, by its name") {
  const std::string bytes = parquet_file({plain_row_group({"a"})});
  CHECK(read(File::of_bytes(bytes, "file", "text")) == rows_of({"a"}));
  CHECK(complaint([&] { File::of_bytes(bytes, "file", "body"); }) ==
        "file: expected a column of strings named body, found the columns text");
  const auto element = [](const char* name, int type, int repetition = 0) {
    return ThriftWriter().integer(1, type).integer(3, repetition).binary(4, name);
  };
  const auto schema = [&](const std::vector<ThriftWriter>& columns, int children) {
    std::vector<ThriftWriter> all{ThriftWriter().binary(4, "schema").integer(5, children)};
    all.insert(all.end(), columns.begin(), columns.end());
    return with_footer("", ThriftWriter().integer(1, 2).structures(2, all).integer(3, 0, 6).structures(4, {}));
  };
  const ThriftWriter group = ThriftWriter().integer(3, 0).binary(4, "text").integer(5, 1);
  CHECK(complaint_about(schema({element("text", 6)}, 1)).empty());
  CHECK(contains(complaint_about(schema({element("text", 1)}, 1)), "column text: expected strings (BYTE_ARRAY), found INT32"));
  CHECK(contains(complaint_about(schema({element("text", 6, 2)}, 1)), "column text: expected a string a row, found a list"));
  CHECK(contains(complaint_about(schema({group, element("text", 6)}, 1)), "column text: expected strings, found a group"));
  CHECK(contains(complaint_about(schema({element("a", 6), element("b", 6)}, 2)), "found the columns a, b"));
  for (const int children : {0, 2, 3, 2147483647, -2147483647})
    CHECK(contains(complaint_about(schema({element("text", 6)}, children)), "expected a schema of one tree"));
  CHECK(contains(complaint_about(schema({}, 0)), "found the columns "));
  CHECK(contains(complaint_about(with_footer("", ThriftWriter().integer(1, 2))), "expected a schema of one tree"));

  for (const Codec codec : {Codec::lzo, Codec::lz4, Codec(42)}) {
    const std::string message = complaint_about(parquet_file({{.rows = 0, .pages = {}, .codec = codec}}));
    CHECK(contains(message, "codec " + to_string(codec) + ": expected"));
  }
}

TEST_CASE("parquet: structs within structs are refused before they exhaust the stack") {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += '\x1C';  // field 1, a struct
  const std::string bytes = "PAR1" + deep + std::string("\xA0\x86\x01\0", 4) + "PAR1";
  CHECK(contains(complaint_about(bytes), "nested"));
}
