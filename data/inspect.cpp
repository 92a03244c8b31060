#include "data/inspect.h"

#include <algorithm>
#include <set>

#include "data/packer.h"
#include "data/parquet_documents.h"
#include "data/token_corpus.h"
#include "engine/core/error.h"
#include "engine/core/text.h"

namespace kappa {
namespace {

namespace fs = std::filesystem;

/// "text   BYTE_ARRAY (STRING), optional", two blanks further in for every level of the tree.
void show_schema(const std::vector<parquet::SchemaElement>& schema, Output& out) {
  std::vector<size_t> ends;  // of the groups that are open
  for (size_t at = 0; at < schema.size(); ++at) {
    while (!ends.empty() && at >= ends.back()) ends.pop_back();
    const parquet::SchemaElement& e = schema[at];
    std::string type = e.type < 0 ? "group" : to_string(parquet::Physical(e.type));
    const std::string meaning =
        e.logical >= 0 ? parquet::logical_type_name(e.logical) : parquet::converted_type_name(e.converted);
    if (!meaning.empty()) type += " (" + meaning + ")";
    if (at > 0)
      line(out, "  {:{}}{}: {}, {}", "", 2 * (std::min<size_t>(ends.size(), 20) - 1), printable(e.name), type,
           to_string(e.repetition));
    if (e.children > 0) ends.push_back(parquet::subtree_end(schema, at));
  }
}

/// All that is said about a row group but its number; neighbours of which the same is said are shown together.
std::string described(const parquet::RowGroup& g) {
  std::set<parquet::Encoding> encodings(g.column.encodings.begin(), g.column.encodings.end());
  std::string names;
  for (const parquet::Encoding e : encodings) names += (names.empty() ? "" : ", ") + to_string(e);
  return fmt::format("{}; {}", to_string(g.column.codec), names);
}

void show_parquet(const fs::path& path, const InspectOptions& options, Output& out) {
  const parquet::File file(path, options.documents.field);
  const parquet::Footer& footer = file.footer();
  line(out, "Parquet, {} bytes, written by {}", grouped(int64_t(file.bytes().size())),
       footer.created_by.empty() ? "nobody who says so" : printable(footer.created_by));
  line(out, "schema");
  show_schema(footer.schema, out);

  line(out, "{} rows in {} row groups", grouped(footer.rows), grouped(file.row_groups()));
  int64_t bytes = 0, unpacked = 0;
  for (const auto& g : footer.row_groups) bytes += g.column.bytes, unpacked += g.column.unpacked_bytes;
  line(out, "column {}: {} bytes, {} decompressed ({:.2f}×)", printable(options.documents.field), grouped(bytes),
       grouped(unpacked), double(unpacked) / double(std::max<int64_t>(bytes, 1)));
  for (size_t i = 0; i < footer.row_groups.size();) {
    const std::string what = described(footer.row_groups[i]);
    const size_t first = i;
    int64_t rows = 0, fewest = footer.row_groups[i].rows, most = fewest;
    for (; i < footer.row_groups.size() && described(footer.row_groups[i]) == what; ++i) {
      const int64_t n = footer.row_groups[i].rows;
      rows += n, fewest = std::min(fewest, n), most = std::max(most, n);
    }
    line(out, "  row groups {} to {}: {} rows, {} to {} each; {}", first, i - 1, grouped(rows), grouped(fewest), grouped(most),
         what);
  }
}

/// Of a folder, what training would read of it (text_files).
void show_folder(const fs::path& path, const InspectOptions& options, Output& out) {
  const auto files = text_files(path);
  uintmax_t bytes = 0;
  for (const fs::path& file : files) bytes += fs::file_size(file);
  line(out, "{} files, {} bytes, from {} to {}", files.size(), grouped(int64_t(bytes)),
       printable(files.front().filename().string()), printable(files.back().filename().string()));
  if (!is_parquet(files.front())) return;
  int64_t rows = 0, row_groups = 0, damaged = 0, last = 0;
  for (const fs::path& path_of_one : files) {
    const auto file = open_parquet(path_of_one, options.documents);
    damaged += !file;
    last = file ? file->footer().rows : 0;
    rows += last;
    if (file) row_groups += file->row_groups();
  }
  line(out, "Parquet, {} rows in {} row groups; without data.validation, the {} of the last file are for validation",
       grouped(rows), grouped(row_groups), grouped(last));
  if (damaged > 0) line(out, "  {} damaged files", damaged);
}

void show_lengths(Output& out, const char* unit, std::vector<int64_t> lengths) {
  if (lengths.empty()) return;
  std::ranges::sort(lengths);
  int64_t sum = 0;
  for (int64_t n : lengths) sum += n;
  const auto at = [&](double share) { return grouped(lengths[size_t(share * double(lengths.size() - 1))]); };
  line(out, "  {}: {} in all, {:.1f} a document; shortest {}, a tenth {}, half {}, nine tenths {}, longest {}", unit,
       grouped(sum), double(sum) / double(lengths.size()), at(0), at(0.1), at(0.5), at(0.9), at(1));
}

/// A row as the packer would make it of these documents, a colour a document; without colours the BOS tells where one begins.
void show_row(const TokenCorpus& corpus, const InspectOptions& options, Output& out) {
  static constexpr const char* colors[] = {"\x1b[36m", "\x1b[33m", "\x1b[32m", "\x1b[35m", "\x1b[34m", "\x1b[31m"};
  const CorpusStream stream(corpus, {.length = options.length});
  std::vector<int32_t> row(size_t(options.length) + 1);
  Packer(stream, LongDocuments::crop).pack(row);
  const int32_t bos = options.tokenizer->bos_id();
  std::string text;
  int64_t documents = 0;
  for (auto begin = row.begin(); begin != row.end(); ++documents) {
    const auto end = std::find(begin + 1, row.end(), bos);
    const std::string part = for_terminal(options.tokenizer->decode(std::span(begin, end)));
    text += options.color ? colors[size_t(documents) % std::size(colors)] + part + "\x1b[0m" : part;
    begin = end;
  }
  line(out, "a packed row of {} + 1 tokens, {} documents", options.length, documents);
  line(out, "{}", text);
}

}  // namespace

void inspect(const fs::path& path, const InspectOptions& options, Output& out) {
  line(out, "{}", printable(path.string()));
  if (fs::is_directory(path)) show_folder(path, options, out);
  if (fs::is_regular_file(path) && is_parquet(path)) show_parquet(path, options, out);

  const auto reader = open_documents(path, options.documents);
  std::vector<int64_t> bytes, tokens;
  TokenCorpus corpus;
  std::set<int32_t> ids;
  bool ended = false;
  for (std::string text; int64_t(bytes.size()) < options.limit && !(ended = !reader->next(text));) {
    bytes.push_back(int64_t(text.size()));
    if (options.tokenizer == nullptr) continue;
    corpus.tokens.push_back(options.tokenizer->bos_id());
    options.tokenizer->encode(text, corpus.tokens);
    tokens.push_back(int64_t(corpus.tokens.size()) - corpus.begins.back());
    corpus.begins.push_back(int64_t(corpus.tokens.size()));
  }
  line(out, "{}{} documents", ended ? "all " : "the first ", grouped(int64_t(bytes.size())));
  show_lengths(out, "bytes", bytes);
  const ReadCounts counts = reader->counts();
  if (counts != ReadCounts{})
    line(out, "  {} rows without a text, {} ill-formed parts of UTF-8; damaged: {}", grouped(counts.nulls),
         grouped(counts.replacements), described(counts));
  if (tokens.empty()) return;
  ids.insert(corpus.tokens.begin(), corpus.tokens.end());
  int64_t all_bytes = 0;
  for (int64_t n : bytes) all_bytes += n;
  show_lengths(out, "tokens with BOS", tokens);
  line(out, "  {:.3f} bytes a token; {} of {} ids occur", double(all_bytes) / double(corpus.tokens.size()),
       grouped(int64_t(ids.size())), grouped(options.tokenizer->size()));
  show_row(corpus, options, out);
}

}  // namespace kappa
