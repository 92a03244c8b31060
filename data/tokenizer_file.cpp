#include "data/tokenizer_file.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "data/base64.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/core/text.h"

namespace kappa {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// T.tiktoken, T.json and T.token_bytes.json.
struct Paths {
  fs::path tokens, description, token_bytes;

  explicit Paths(fs::path path) {
    if (path.extension() == ".tiktoken") path.replace_extension();
    const auto with = [&](const char* suffix) { return fs::path(path) += suffix; };
    tokens = with(".tiktoken"), description = with(".json"), token_bytes = with(".token_bytes.json");
  }
};

struct Line {
  size_t number;  // from 1
  int64_t id;
  std::string bytes;
};

Line parse_line(const std::string& file, size_t number, std::string_view line) {
  const size_t space = line.find(' ');
  require(space != std::string_view::npos, "{}:{}: expected base64, a space and an id, found \"{}\"", file, number,
          printable(line));
  auto bytes = base64_decode(line.substr(0, space));
  require(bytes && !bytes->empty(), "{}:{}: expected the base64 of at least one byte, found \"{}\"", file, number,
          printable(line.substr(0, space)));
  int64_t id = -1;
  const auto [end, error] = std::from_chars(line.data() + space + 1, line.data() + line.size(), id);
  require(error == std::errc() && end == line.data() + line.size() && id >= 0,
          "{}:{}: expected an id after the space, found \"{}\"", file, number, printable(line.substr(space + 1)));
  return {number, id, *std::move(bytes)};
}

std::vector<std::string> load_tokens(const fs::path& path) {
  const std::string file = path.string(), text = read_file(path);
  std::vector<Line> lines;
  for (size_t begin = 0, number = 1; begin < text.size(); ++number) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) lines.push_back(parse_line(file, number, std::string_view(text).substr(begin, end - begin)));
    begin = end + 1;
  }

  std::vector<std::string> tokens(lines.size());
  std::unordered_map<std::string, size_t> line_of_bytes;
  for (const Line& line : lines) {
    require(line.id < int64_t(lines.size()), "{}:{}: {} tokens have the ids 0 to {}, found {}", file, line.number, lines.size(),
            lines.size() - 1, line.id);
    require(tokens[size_t(line.id)].empty(), "{}:{}: the id {} is there twice", file, line.number, line.id);
    const auto [first, is_new] = line_of_bytes.emplace(line.bytes, line.number);
    require(is_new, "{}:{}: the token of line {} is there again", file, line.number, first->second);
    tokens[size_t(line.id)] = line.bytes;
  }
  return tokens;
}

/// A value for an error message; never a whole tree.
std::string shown(const Json& value) { return value.is_primitive() ? printable(value.dump()) : value.type_name(); }

/// A member of the object in a file; Value is std::string or int64_t.
template <class Value>
Value member(const std::string& file, const Json& object, const char* key) {
  constexpr bool is_text = std::is_same_v<Value, std::string>;
  const auto found = object.find(key);
  require(found != object.end(), "{}: {} is missing", file, key);
  require(is_text ? found->is_string() : found->is_number_integer(), "{}: {}: expected {}, found {}", file, key,
          is_text ? "a string" : "an integer", shown(*found));
  return found->template get<Value>();
}

/// Special tokens by id: {text: id} with ids first, first + 1, …
std::vector<std::string> parse_specials(const std::string& file, const Json& description, size_t first) {
  const auto found = description.find("special_tokens");
  require(found != description.end() && found->is_object(), "{}: special_tokens: expected an object of texts and ids", file);
  std::vector<std::string> specials(found->size());
  for (const auto& [text, id] : found->items()) {
    const int64_t last = int64_t(first + specials.size()) - 1;
    const bool fits = id.is_number_integer() && id.get<int64_t>() >= int64_t(first) && id.get<int64_t>() <= last;
    require(fits, "{}: special_tokens: {}: expected an id from {} to {}, after the {} mergeable tokens, found {}", file,
            printable(text), first, last, first, shown(id));
    std::string& place = specials[size_t(id.get<int64_t>()) - first];
    require(place.empty(), "{}: special_tokens: {} and {} have the same id {}", file, printable(place), printable(text),
            id.get<int64_t>());
    require(!text.empty(), "{}: special_tokens: a text is empty", file);
    place = text;
  }
  return specials;
}

void describe(Vocabulary& vocabulary, const fs::path& path) {
  const std::string file = path.string();
  const auto refuse_twins = [&, keys = std::vector<std::vector<std::string>>()](int, Json::parse_event_t event,
                                                                                Json& value) mutable {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key) {
      const auto key = value.get<std::string>();
      require(std::ranges::find(keys.back(), key) == keys.back().end(), "{}: the key {} is there twice", file, printable(key));
      keys.back().push_back(key);
    }
    return true;
  };
  Json description;
  try {
    description = Json::parse(read_file(path), refuse_twins);
  } catch (const Json::parse_error& error) {
    throw InputError(fmt::format("{}: not JSON: {}", file, printable(error.what())));
  }
  require(description.is_object(), "{}: expected a JSON object", file);

  const auto regex = member<std::string>(file, description, "pattern");
  vocabulary.pattern = find_pattern(regex);
  require(vocabulary.pattern != nullptr, "{}: pattern: there is no scanner for {}", file, printable(regex));
  if (description.contains("name")) vocabulary.name = member<std::string>(file, description, "name");
  vocabulary.specials = parse_specials(file, description, vocabulary.tokens.size());
  vocabulary.bos = member<std::string>(file, description, "bos");

  const auto expect = [&](const char* key, int64_t expected) {
    const auto found = member<int64_t>(file, description, key);
    require(found == expected, "{}: {}: expected {} by the tokens and special tokens, found {}", file, key, expected, found);
  };
  expect("n_mergeable", int64_t(vocabulary.tokens.size()));
  expect("n_vocab", vocabulary.size());
  const auto bos = std::ranges::find(vocabulary.specials, vocabulary.bos);
  require(bos != vocabulary.specials.end(), "{}: bos: {} is not one of special_tokens", file, printable(vocabulary.bos));
  expect("bos_id", int64_t(vocabulary.tokens.size()) + (bos - vocabulary.specials.begin()));
}

}  // namespace

Tokenizer load_tokenizer(const fs::path& path, std::string* notice) {
  const Paths paths(path);
  Vocabulary vocabulary{.tokens = load_tokens(paths.tokens), .specials = paper_specials(), .bos = paper_specials().front()};
  check_vocabulary(vocabulary, paths.tokens.string());
  if (std::error_code ignored; fs::exists(paths.description, ignored))
    describe(vocabulary, paths.description);
  else if (notice != nullptr)
    *notice = fmt::format("{} is missing: using the paper's split pattern and {} special tokens", paths.description.string(),
                          vocabulary.specials.size());
  return Tokenizer(std::move(vocabulary));
}

void save_tokenizer(const Tokenizer& tokenizer, const fs::path& path) {
  const Paths paths(path);
  const Vocabulary& v = tokenizer.vocabulary();
  std::string lines;
  for (size_t id = 0; id < v.tokens.size(); ++id) lines += fmt::format("{} {}\n", base64_encode(v.tokens[id]), id);

  Json specials = Json::object();
  for (size_t i = 0; i < v.specials.size(); ++i) specials[v.specials[i]] = v.tokens.size() + i;
  const Json description{{"name", v.name},
                         {"pattern", v.pattern->regex},
                         {"special_tokens", specials},
                         {"n_vocab", v.size()},
                         {"n_mergeable", v.tokens.size()},
                         {"bos", v.bos},
                         {"bos_id", tokenizer.bos_id()}};
  // The tokens come last: where they are, the description is.
  write_file(paths.token_bytes, Json(tokenizer.token_bytes()).dump() + "\n");
  write_file(paths.description, description.dump(1) + "\n");
  write_file(paths.tokens, lines);
}

}  // namespace kappa
