#include <algorithm>
#include <array>
#include <unordered_map>

#include "data/strict_json.h"
#include "data/tokenizer/formats.h"
#include "engine/core/error.h"
#include "engine/core/text.h"
#include "engine/core/utf8.h"

namespace kappa {
namespace {

/// GPT-2's way to write bytes as printable characters: those that are printable in Latin-1 as themselves, the others, in order,
/// as U+0100, U+0101, …
std::array<char32_t, 256> byte_letters() {
  std::array<char32_t, 256> letters{};
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool printable_byte = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    letters[byte] = printable_byte ? byte : next++;
  }
  return letters;
}

std::string to_letters(std::string_view bytes) {
  static const auto letters = byte_letters();
  std::string text;
  for (const char byte : bytes) {
    const char32_t c = letters[uint8_t(byte)];  // at most U+0143: one or two bytes of UTF-8
    if (c < 0x80)
      text += char(c);
    else
      text += {char(0xC0 | c >> 6), char(0x80 | (c & 0x3F))};
  }
  return text;
}

std::string from_letters(std::string_view text, const std::string& where) {
  static const auto bytes_of = [] {
    std::array<int, 0x144> bytes{};
    bytes.fill(-1);
    for (int byte = 0; byte < 256; ++byte) bytes[byte_letters()[size_t(byte)]] = byte;
    return bytes;
  }();
  std::string bytes;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_char(text, at);
    require(c.code < bytes_of.size() && bytes_of[c.code] >= 0, "{}: {} is not bytes as byte-level BPE writes them", where,
            printable(text));
    bytes += char(bytes_of[c.code]);
    at += size_t(c.length);
  }
  return bytes;
}

/// Where the + of a {n,m}+ stands, or npos. To tiktoken's engine it makes {n,m} possessive; to this format's, any number of them.
size_t plus_after_count(std::string_view regex) {
  size_t at = regex.find("}+");
  while (at != regex.npos && (at == 0 || regex[at - 1] < '0' || regex[at - 1] > '9')) at = regex.find("}+", at + 1);
  return at == regex.npos ? at : at + 1;
}

/// An expression of tiktoken's as it is written here. Where nothing that could fail follows, {n,m} takes as much as {n,m}+.
std::string regex_here(std::string_view tiktoken) {
  std::string regex(tiktoken);
  for (size_t at; (at = plus_after_count(regex)) != regex.npos;) regex.erase(at, 1);
  return regex;
}

/// Reads one file: what in it matters to encoding, one function a member.
class Reader {
 public:
  Reader(const std::string& text, const std::string& file) : file_(file), size_(text.size()), root_(parse_object(text, file)) {}

  Vocabulary read() {
    v_.name = "tokenizer";
    refuse_unless_empty(root_, "normalizer");
    read_pre_tokenizer();
    read_specials();
    read_model();
    v_.bos = bos();
    check_vocabulary(v_, file_);
    check_merges();
    return std::move(v_);
  }

 private:
  std::string type_of(const Json& object, const char* where) const {
    require(object.is_object(), "{}: {}: expected an object, found {}", file_, where, shown(object));
    return member<std::string>(file_, object, "type");
  }

  /// `key` of the object is missing, null, false, 0 or "".
  void refuse_unless_empty(const Json& object, const char* key) const {
    const Json value = object.value(key, Json());
    const bool empty = value.is_null() || value == Json(false) || value == Json("") || value == Json(0);
    require(empty, "{}: {}: expected none, which alone leaves texts as they are; found {}", file_, key,
            value.is_object() ? printable(value.dump()) : shown(value));
  }

  void read_byte_level(const Json& step, bool regex) {
    const auto expect = [&](const char* key, bool expected) {
      const Json value = step.value(key, Json(true));
      require(value == Json(expected), "{}: pre_tokenizer: {}: expected {}, found {}", file_, key, expected, shown(value));
    };
    expect("add_prefix_space", false);
    expect("use_regex", regex);
  }

  /// {ByteLevel, use_regex}: GPT-2's pattern; or the sequence of {Split, Isolated} and {ByteLevel}: its regular expression.
  void read_pre_tokenizer() {
    const Json& pre = part(file_, root_, "pre_tokenizer");
    std::string regex = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
    if (type_of(pre, "pre_tokenizer") == "ByteLevel") {
      read_byte_level(pre, true);
    } else {
      const Json parts = pre.value("pretokenizers", Json());
      const bool known = parts.is_array() && parts.size() == 2 && type_of(parts[0], "pre_tokenizer") == "Split" &&
                         type_of(parts[1], "pre_tokenizer") == "ByteLevel";
      require(known, "{}: pre_tokenizer: expected ByteLevel, or a Sequence of Split and ByteLevel", file_);
      const Json& pattern = part(file_, parts[0], "pattern");
      require(pattern.is_object() && pattern.contains("Regex"), "{}: pre_tokenizer: expected a Regex to split at, found {}",
              file_, shown(pattern));
      regex = member<std::string>(file_, pattern, "Regex");
      const auto behavior = member<std::string>(file_, parts[0], "behavior");
      const bool inverted = parts[0].value("invert", false);
      // Where the expression covers every text, to remove what is not matched changes nothing.
      require((behavior == "Isolated" && !inverted) || (behavior == "Removed" && inverted),
              "{}: pre_tokenizer: behavior: expected Isolated, found {}{}", file_, printable(behavior),
              inverted ? ", inverted" : "");
      read_byte_level(parts[1], false);
    }
    require(plus_after_count(regex) == regex.npos,
            "{}: pre_tokenizer: expected no + after a count in the Regex, which in this format repeats it without end, found {}",
            file_, printable(regex));
    v_.pattern = find_pattern(regex);
    require(v_.pattern != nullptr, "{}: pre_tokenizer: there is no scanner for {} (there are those of {})", file_,
            printable(regex), pattern_names());
  }

  void read_specials() {
    const Json added = root_.value("added_tokens", Json::array());
    require(added.is_array(), "{}: added_tokens: expected an array, found {}", file_, shown(added));
    for (const Json& token : added) {
      require(token.is_object(), "{}: added_tokens: expected objects, found {}", file_, shown(token));
      const auto text = member<std::string>(file_, token, "content");
      const auto id = member<int64_t>(file_, token, "id");
      require(id >= 0 && id < largest_vocabulary, "{}: added_tokens: {}: expected an id from 0 to {}, found {}", file_,
              printable(text), largest_vocabulary - 1, id);
      require(token.value("special", false),
              "{}: added_tokens: {} is not special, so it would be found in every text; that is not supported", file_,
              printable(text));
      for (const char* key : {"lstrip", "rstrip", "single_word"}) refuse_unless_empty(token, key);
      v_.specials.push_back({text, int32_t(id)});
    }
    sort_specials(v_.specials, file_ + ": added_tokens");
  }

  bool is_special(const std::string& text, int64_t id) const {
    const auto found = std::ranges::lower_bound(v_.specials, id, {}, &Special::id);
    return found != v_.specials.end() && found->id == id && found->text == text;
  }

  void read_model() {
    const Json& model = part(file_, root_, "model");
    require(model.is_object(), "{}: model: expected an object, found {}", file_, shown(model));
    const Json type = model.value("type", Json("BPE"));
    require(type == "BPE", "{}: model: expected BPE, found {}", file_, shown(type));
    for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"})
      refuse_unless_empty(model, key);
    const Json& vocabulary = part(file_, model, "vocab");
    require(vocabulary.is_object(), "{}: model.vocab: expected an object of tokens and ids, found {}", file_, shown(vocabulary));
    for (const auto& [token, id] : vocabulary.items()) {
      const std::string where = fmt::format("{}: model.vocab: {}", file_, printable(token));
      require(id.is_number_integer(), "{}: expected an id, found {}", where, shown(id));
      if (!is_special(token, id.get<int64_t>()))
        place_token(v_.tokens, from_letters(token, where), id.get<int64_t>(), size_, where);
    }
  }

  /// The special token that the post-processor puts first, or else by its name.
  std::string bos() const {
    const Json post = root_.value("post_processor", Json());
    const Json processors = post.is_object() ? post.value("processors", Json::array({post})) : Json::array();
    for (const Json& processor : processors) {
      const Json single = processor.is_object() ? processor.value("single", Json()) : Json();
      if (!single.is_array() || single.empty() || !single[0].is_object() || !single[0].contains("SpecialToken")) continue;
      const Json& special = single[0]["SpecialToken"];
      const std::string text = special.is_object() && special.value("id", Json()).is_string() ? special["id"] : "";
      if (std::ranges::find(v_.specials, text, &Special::text) != v_.specials.end()) return text;
    }
    return likely_bos(v_.specials);
  }

  /// Two tokens that merge, as ids.
  std::pair<int32_t, int32_t> merge_at(const Json& merges, size_t i, const std::unordered_map<std::string, int32_t>& ids) const {
    const Json& merge = merges[i];
    const std::string where = fmt::format("{}: model.merges[{}]", file_, i);
    std::string left, right;
    if (merge.is_string()) {
      const auto text = merge.get<std::string>();
      const size_t space = text.find(' ');
      require(space != text.npos, "{}: expected two tokens, found {}", where, printable(text));
      left = text.substr(0, space), right = text.substr(space + 1);
    } else {
      require(merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string(),
              "{}: expected two tokens, found {}", where, shown(merge));
      left = merge[0], right = merge[1];
    }
    left = from_letters(left, where), right = from_letters(right, where);
    const auto id_of = [&](const std::string& bytes) {
      const auto found = ids.find(bytes);
      require(found != ids.end(), "{}: {} is not in model.vocab", where, printable(to_letters(bytes)));
      return found->second;
    };
    id_of(left + right);
    return {id_of(left), id_of(right)};
  }

  /// Here merges follow the ids of what they make. That is the same as the list of merges if the one that leads to each token is
  /// in the list, in the order of the ids; merges that nothing leads to do not matter. Without ignore_merges a token to which no
  /// merges lead is never met there, but is here where a whole piece is.
  void check_merges() {
    const Json &model = part(file_, root_, "model"), &merges = part(file_, model, "merges");
    require(merges.is_array(), "{}: model.merges: expected an array, found {}", file_, shown(merges));
    std::unordered_map<std::string, int32_t> ids;
    for (size_t id = 0; id < v_.tokens.size(); ++id)
      if (!v_.tokens[id].empty()) ids.emplace(v_.tokens[id], int32_t(id));
    const auto key = [](int32_t left, int32_t right) { return uint64_t(uint32_t(left)) << 32 | uint32_t(right); };
    std::unordered_map<uint64_t, size_t> places;
    for (size_t i = 0; i < merges.size(); ++i) {
      const auto [left, right] = merge_at(merges, i, ids);
      const auto [first, is_new] = places.emplace(key(left, right), i);
      require(is_new, "{}: model.merges[{}]: expected each merge once, found that of [{}] again", file_, i, first->second);
    }
    const bool whole_pieces = model.value("ignore_merges", false);
    const BpeEncoder encoder(v_.tokens);
    size_t least = 0;
    for (size_t id = 0; id < v_.tokens.size(); ++id) {
      if (v_.tokens[id].size() < 2) continue;
      const std::string token = printable(to_letters(v_.tokens[id]));
      if (!encoder.is_reachable(int32_t(id))) {
        require(whole_pieces, "{}: model: no merges lead to {} without ignore_merges", file_, token);
        continue;
      }
      const auto [left, right] = encoder.split(int32_t(id));
      const auto found = places.find(key(left, right));
      require(found != places.end(), "{}: model.merges: {} and {} would be merged to {} by their ids, which is not in the list",
              file_, printable(to_letters(v_.tokens[size_t(left)])), printable(to_letters(v_.tokens[size_t(right)])), token);
      require(found->second >= least,
              "{}: model.merges[{}]: {} comes before a token with a lower id; only merges in the order of ids are supported",
              file_, found->second, token);
      least = found->second;
    }
  }

  const std::string& file_;
  size_t size_;  // of the file, in bytes
  Json root_;
  Vocabulary v_;
};

}  // namespace

Vocabulary read_hugging_face(const std::string& text, const std::string& file) {
  try {
    return Reader(text, file).read();
  } catch (const Json::type_error& error) {
    throw InputError(fmt::format("{}: expected a value of another type: {}", file, printable(error.what())));
  }
}

std::string write_hugging_face(const Vocabulary& v, const BpeEncoder& encoder) {
  using Ordered = nlohmann::ordered_json;
  Ordered added = Ordered::array();
  for (const auto& [text, id] : v.specials)
    added.push_back({{"id", id},
                     {"content", text},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  const auto byte_level = [](const char* type) {
    return Ordered{{"type", type}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  };
  const Ordered split{
      {"type", "Split"}, {"pattern", {{"Regex", regex_here(v.pattern->regex)}}}, {"behavior", "Isolated"}, {"invert", false}};
  const Ordered head{
      {"version", "1.0"},          {"truncation", nullptr},
      {"padding", nullptr},        {"added_tokens", added},
      {"normalizer", nullptr},     {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {split, byte_level("ByteLevel")}}}},
      {"post_processor", nullptr}, {"decoder", byte_level("ByteLevel")}};
  // The long parts are written by hand: an ordered object looks through all its keys for every new one.
  std::string vocabulary, merges;
  const auto quoted = [&](size_t id) { return Ordered(to_letters(v.tokens[id])).dump(); };
  for (size_t id = 0; id < v.tokens.size(); ++id) {
    if (v.tokens[id].empty()) continue;
    vocabulary += fmt::format("{}{}: {}", vocabulary.empty() ? "" : ",\n", quoted(id), id);
    if (const auto [left, right] = encoder.split(int32_t(id)); left >= 0)
      merges += fmt::format("{}{}", merges.empty() ? "" : ",\n",
                            Ordered(to_letters(v.tokens[size_t(left)]) + " " + to_letters(v.tokens[size_t(right)])).dump());
  }
  // Special tokens stand there too: an added token that does not gets the next free id, whatever its own.
  for (const auto& [content, id] : v.specials) vocabulary += fmt::format(",\n{}: {}", Ordered(content).dump(), id);
  std::string text = head.dump(1);
  text.resize(text.size() - 2);  // without the closing brace and its line
  return text +
         fmt::format(
             ",\n \"model\": {{\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, \"continuing_subword_prefix\": null, "
             "\"end_of_word_suffix\": null, \"fuse_unk\": false, \"byte_fallback\": false, \"ignore_merges\": true,\n"
             "\"vocab\": {{\n{}}},\n\"merges\": [\n{}]}}\n}}\n",
             vocabulary, merges);
}

}  // namespace kappa
