#include <algorithm>
#include <charconv>

#include "data/strict_json.h"
#include "data/tokenizer/base64.h"
#include "data/tokenizer/formats.h"
#include "engine/core/error.h"
#include "engine/core/text.h"

namespace kappa {

void place_token(std::vector<std::string>& tokens, std::string bytes, int64_t id, size_t file_size, const std::string& where) {
  require(!bytes.empty(), "{}: expected at least one byte, found an empty token", where);
  require(id >= 0 && id < largest_vocabulary, "{}: expected an id from 0 to {}, found {}", where, largest_vocabulary - 1, id);
  require(size_t(id) < file_size, "{}: expected an id below {}, as a token takes at least a byte of the file, found {}", where,
          file_size, id);
  if (size_t(id) >= tokens.size()) tokens.resize(size_t(id) + 1);
  require(tokens[size_t(id)].empty(), "{}: the id {} is there twice", where, id);
  tokens[size_t(id)] = std::move(bytes);
}

void sort_specials(std::vector<Special>& specials, const std::string& where) {
  std::ranges::sort(specials, {}, &Special::id);
  for (size_t i = 1; i < specials.size(); ++i)
    require(specials[i - 1].id < specials[i].id, "{}: {} and {} have the same id {}", where, printable(specials[i - 1].text),
            printable(specials[i].text), specials[i].id);
}

std::string likely_bos(const std::vector<Special>& specials) {
  for (const char* name : {"<|bos|>", "<|begin_of_text|>", "<|startoftext|>", "<s>", "<|endoftext|>"})
    if (std::ranges::find(specials, name, &Special::text) != specials.end()) return name;
  return "";
}

static void read_line(std::vector<std::string>& tokens, std::string_view line, size_t file_size, const std::string& where) {
  const size_t space = line.find(' ');
  require(space != line.npos, "{}: expected base64, a space and an id, found \"{}\"", where, printable(line));
  auto bytes = base64_decode(line.substr(0, space));
  require(bytes && !bytes->empty(), "{}: expected the base64 of at least one byte, found \"{}\"", where,
          printable(line.substr(0, space)));
  int64_t id = -1;
  const auto [end, error] = std::from_chars(line.data() + space + 1, line.data() + line.size(), id);
  require(error == std::errc() && end == line.data() + line.size() && id >= 0, "{}: expected an id after the space, found \"{}\"",
          where, printable(line.substr(space + 1)));
  place_token(tokens, *std::move(bytes), id, file_size, where);
}

std::vector<std::string> read_tiktoken(std::string_view text, const std::string& file) {
  std::vector<std::string> tokens;
  for (size_t begin = 0, number = 1; begin < text.size(); ++number) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) read_line(tokens, line, text.size(), fmt::format("{}:{}", file, number));
    begin = end + 1;
  }
  require(!tokens.empty(), "{}: expected tokens, found none", file);
  return tokens;
}

std::string write_tiktoken(const std::vector<std::string>& tokens) {
  std::string lines;
  for (size_t id = 0; id < tokens.size(); ++id)
    if (!tokens[id].empty()) lines += fmt::format("{} {}\n", base64_encode(tokens[id]), id);
  return lines;
}

static int64_t mergeable(const Vocabulary& v) { return int64_t(v.tokens.size()) - std::ranges::count(v.tokens, std::string()); }

static int64_t id_of(const Vocabulary& v, const std::string& text) {
  return std::ranges::find(v.specials, text, &Special::text)->id;
}

void read_description(const std::string& text, const std::string& file, Vocabulary& v) {
  const Json description = parse_object(text, file);
  const auto regex = member<std::string>(file, description, "pattern");
  v.pattern = find_pattern(regex);
  require(v.pattern != nullptr, "{}: pattern: there is no scanner for {} (there are those of {})", file, printable(regex),
          pattern_names());
  if (description.contains("name")) v.name = member<std::string>(file, description, "name");

  const auto specials = description.find("special_tokens");
  require(specials != description.end() && specials->is_object(), "{}: special_tokens: expected an object of texts and ids",
          file);
  v.specials.clear();
  for (const auto& [special, id] : specials->items()) {
    require(id.is_number_integer() && id.get<int64_t>() >= 0 && id.get<int64_t>() < largest_vocabulary,
            "{}: special_tokens: {}: expected an id from 0 to {}, found {}", file, printable(special), largest_vocabulary - 1,
            shown(id));
    v.specials.push_back({special, id.get<int32_t>()});
  }
  sort_specials(v.specials, file + ": special_tokens");
  v.bos = part(file, description, "bos").is_null() ? "" : member<std::string>(file, description, "bos");
  check_vocabulary(v, file);

  const auto expect = [&](const char* key, const Json& expected) {
    const Json& found = part(file, description, key);
    require(found == expected, "{}: {}: expected {} by the tokens and special tokens, found {}", file, key, shown(expected),
            shown(found));
  };
  expect("n_mergeable", mergeable(v));
  expect("n_vocab", v.size());
  expect("bos_id", v.bos.empty() ? Json() : Json(id_of(v, v.bos)));
}

std::string write_description(const Vocabulary& v) {
  using Ordered = nlohmann::ordered_json;
  Ordered specials = Ordered::object();
  for (const auto& [text, id] : v.specials) specials[text] = id;
  const Ordered description{{"name", v.name},
                            {"pattern", v.pattern->regex},
                            {"special_tokens", specials},
                            {"n_vocab", v.size()},
                            {"n_mergeable", mergeable(v)},
                            {"bos", v.bos.empty() ? Ordered() : Ordered(v.bos)},
                            {"bos_id", v.bos.empty() ? Ordered() : Ordered(id_of(v, v.bos))}};
  return description.dump(1) + "\n";
}

}  // namespace kappa
