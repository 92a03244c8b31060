// The opcodes of pickle that a tiktoken Encoding has: strings, bytes, numbers, dicts of them, one class, one object. The machine
// has a stack and a memo and nothing else: what would import or call is no opcode here.

#include <cstring>
#include <unordered_map>

#include "data/tokenizer/formats.h"
#include "engine/core/error.h"
#include "engine/core/text.h"
#include "engine/core/utf8.h"

namespace kappa {
namespace {

enum class Kind { mark, none, number, text, bytes, dict, arguments, encoding_class, encoding };

struct Value {
  Kind kind;
  std::string_view bytes = {};  // of a text, or of bytes: a part of the file
  int64_t number = 0;           // of a number; of a dict or the encoding, its place in dicts_
};

using Dict = std::vector<std::pair<Value, Value>>;

const char* name_of(Kind kind) {
  constexpr const char* names[] = {"a mark", "None",      "a number", "a text",   "bytes",
                                   "a dict", "arguments", "a class",  "an object"};
  return names[int(kind)];
}

class Unpickler {
 public:
  Unpickler(std::string_view bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  /// The state of the one Encoding in the file.
  const Dict& encoding() {
    while (step()) {
    }
    expect(stack_.size() == 1 && stack_[0].kind == Kind::encoding && stack_[0].number >= 0, "one tiktoken Encoding");
    return dicts_[size_t(stack_[0].number)];
  }

  const Dict& dict(const Value& value) const { return dicts_[size_t(value.number)]; }

  [[noreturn]] void fail(const std::string& what) const { throw InputError(fmt::format("{}: byte {}: {}", file_, at_, what)); }

 private:
  // Values, of which an Encoding's file keeps at most 2,000 on the stack, and at most a few a token in all.
  static constexpr size_t deepest = 1 << 16, most_remembered = 4 * size_t(largest_vocabulary), most_entries = most_remembered;

  void expect(bool is_so, const char* what) const {
    if (!is_so) fail(fmt::format("expected {}, as in a pickled tiktoken Encoding", what));
  }

  /// The next `size` bytes of the file.
  std::string_view take(uint64_t size) {
    if (size > bytes_.size() - next_) fail(fmt::format("the file ends within {} bytes", size));
    const auto taken = bytes_.substr(next_, size_t(size));
    next_ += size_t(size);
    return taken;
  }

  /// A little-endian number of so many bytes, without sign.
  uint64_t take_number(int size) {
    uint64_t number = 0;
    const auto bytes = take(uint64_t(size));
    for (int i = 0; i < size; ++i) number |= uint64_t(uint8_t(bytes[size_t(i)])) << (8 * i);
    return number;
  }

  std::string_view take_line() {
    const size_t end = bytes_.find('\n', next_);
    if (end == bytes_.npos) fail("the file ends within a line");
    const auto line = bytes_.substr(next_, end - next_);
    next_ = end + 1;
    return line;
  }

  void push(Value value) {
    if (stack_.size() >= deepest) fail(fmt::format("more than {} values on the stack", deepest));
    stack_.push_back(value);
  }

  Value pop() {
    expect(!stack_.empty(), "a value on the stack");
    const Value value = stack_.back();
    stack_.pop_back();
    return value;
  }

  Value pop(Kind kind) {
    const Value value = pop();
    expect(value.kind == kind, name_of(kind));
    return value;
  }

  void remember(uint64_t place) {
    expect(!stack_.empty(), "a value to remember");
    if (memo_.size() >= most_remembered) fail(fmt::format("more than {} values are remembered", most_remembered));
    memo_[place] = stack_.back();
  }

  void recall(uint64_t place) {
    const auto found = memo_.find(place);
    if (found == memo_.end()) fail(fmt::format("value {} was never remembered", place));
    push(found->second);
  }

  void push_class(std::string_view module, std::string_view name) {
    if (module != "tiktoken.core" || name != "Encoding")
      fail(fmt::format("expected the class tiktoken.core.Encoding, found {}.{}", printable(module), printable(name)));
    push({Kind::encoding_class});
  }

  /// Puts the pairs above `first` into the dict below it.
  void set_items(size_t first) {
    expect((stack_.size() - first) % 2 == 0, "keys with values");
    if (entries_ += (stack_.size() - first) / 2; entries_ > most_entries) fail(fmt::format("more than {} entries", most_entries));
    Dict entries;
    for (size_t i = first; i < stack_.size(); i += 2) entries.emplace_back(stack_[i], stack_[i + 1]);
    stack_.resize(first);
    expect(!stack_.empty() && stack_.back().kind == Kind::dict, "a dict");
    Dict& dict = dicts_[size_t(stack_.back().number)];
    dict.insert(dict.end(), entries.begin(), entries.end());
  }

  void set_items_above_mark() {
    size_t first = stack_.size();
    while (first > 0 && stack_[first - 1].kind != Kind::mark) --first;
    expect(first > 0, "a mark");
    stack_.erase(stack_.begin() + ptrdiff_t(first) - 1);
    set_items(first - 1);
  }

  void push_dict() {
    if (dicts_.size() >= 16) fail("more dicts than an Encoding has");
    push({.kind = Kind::dict, .number = int64_t(dicts_.size())});
    dicts_.emplace_back();
  }

  void build() {
    const Value state = pop();
    if (state.kind == Kind::text)
      fail(fmt::format("the Encoding is only named, {}: tiktoken would look it up", printable(state.bytes)));
    expect(state.kind == Kind::dict, "the Encoding's parts");
    pop(Kind::encoding);
    push({.kind = Kind::encoding, .number = state.number});
  }

  /// Carries out one opcode; false after the last.
  bool step() {
    at_ = next_;
    const auto opcode = uint8_t(take(1)[0]);
    switch (opcode) {
      case 0x80:  // PROTO
        if (const auto protocol = take_number(1); protocol < 3 || protocol > 5)
          fail(fmt::format("expected pickle protocol 3, 4 or 5, found {}", protocol));
        return true;
      case 0x95:  // FRAME
        if (take_number(8) > bytes_.size() - next_) fail("the file ends within a frame");
        return true;
      case '.':  // STOP
        if (next_ != bytes_.size()) fail("expected the end of the file");
        return false;
      case 0x8C:  // SHORT_BINUNICODE
      case 'X':   // BINUNICODE
      case 0x8D:  // BINUNICODE8
        push({Kind::text, take(take_number(opcode == 0x8C ? 1 : opcode == 'X' ? 4 : 8))});
        if (!is_utf8(stack_.back().bytes)) fail("a text is not UTF-8");
        return true;
      case 'C':   // SHORT_BINBYTES
      case 'B':   // BINBYTES
      case 0x8E:  // BINBYTES8
        push({Kind::bytes, take(take_number(opcode == 'C' ? 1 : opcode == 'B' ? 4 : 8))});
        return true;
      case 'K':  // BININT1
      case 'M':  // BININT2
        push({.kind = Kind::number, .number = int64_t(take_number(opcode == 'K' ? 1 : 2))});
        return true;
      case 'J':  // BININT
        push({.kind = Kind::number, .number = int32_t(uint32_t(take_number(4)))});
        return true;
      case 'N':  // NONE
        push({Kind::none});
        return true;
      case 0x94:  // MEMOIZE
        remember(memo_.size());
        return true;
      case 'q':  // BINPUT
      case 'r':  // LONG_BINPUT
        remember(take_number(opcode == 'q' ? 1 : 4));
        return true;
      case 'h':  // BINGET
      case 'j':  // LONG_BINGET
        recall(take_number(opcode == 'h' ? 1 : 4));
        return true;
      case 'c': {  // GLOBAL
        const auto module = take_line();
        push_class(module, take_line());
        return true;
      }
      case 0x93: {  // STACK_GLOBAL
        const Value name = pop(Kind::text), module = pop(Kind::text);
        push_class(module.bytes, name.bytes);
        return true;
      }
      case ')':  // EMPTY_TUPLE
        push({Kind::arguments});
        return true;
      case 0x81:  // NEWOBJ: here an object without parts
        pop(Kind::arguments), pop(Kind::encoding_class);
        push({.kind = Kind::encoding, .number = -1});
        return true;
      case '}':  // EMPTY_DICT
        push_dict();
        return true;
      case '(':  // MARK
        push({Kind::mark});
        return true;
      case 's':  // SETITEM
        expect(stack_.size() >= 3, "a dict, a key and a value");
        set_items(stack_.size() - 2);
        return true;
      case 'u':  // SETITEMS
        set_items_above_mark();
        return true;
      case 'b':  // BUILD
        build();
        return true;
      default:
        fail(fmt::format("the opcode 0x{:02X} is not one that a tiktoken Encoding needs; nothing is executed", opcode));
    }
  }

  std::string_view bytes_;
  const std::string& file_;
  size_t next_ = 0, at_ = 0;  // of the next byte; of the opcode that is being carried out
  std::vector<Value> stack_;
  std::unordered_map<uint64_t, Value> memo_;
  std::vector<Dict> dicts_;
  size_t entries_ = 0;  // of all dicts
};

}  // namespace

Vocabulary read_pickled_encoding(std::string_view bytes, const std::string& file) {
  Unpickler unpickler(bytes, file);
  Vocabulary v;
  v.pattern = nullptr;
  const Dict& parts = unpickler.encoding();
  const auto expect = [&](const Value& value, Kind kind, const std::string& what) {
    require(value.kind == kind, "{}: {}: expected {}, found {}", file, printable(what), name_of(kind), name_of(value.kind));
    return value;
  };
  for (const auto& [key, value] : parts) {
    const std::string part(expect(key, Kind::text, "a part's name").bytes);
    if (part == "name") {
      v.name = expect(value, Kind::text, part).bytes;
    } else if (part == "pat_str") {
      const auto regex = expect(value, Kind::text, part).bytes;
      v.pattern = find_pattern(regex);
      require(v.pattern != nullptr, "{}: pat_str: there is no scanner for {} (there are those of {})", file, printable(regex),
              pattern_names());
    } else if (part == "mergeable_ranks") {
      v.tokens.clear();
      for (const auto& [token, id] : unpickler.dict(expect(value, Kind::dict, part)))
        place_token(v.tokens, std::string(expect(token, Kind::bytes, part).bytes), expect(id, Kind::number, part).number,
                    bytes.size(), file + ": mergeable_ranks");
    } else if (part == "special_tokens") {
      v.specials.clear();
      for (const auto& [text, id] : unpickler.dict(expect(value, Kind::dict, part))) {
        const int64_t number = expect(id, Kind::number, part).number;
        require(number >= 0 && number < largest_vocabulary, "{}: special_tokens: expected an id from 0 to {}, found {}", file,
                largest_vocabulary - 1, number);
        v.specials.push_back({std::string(expect(text, Kind::text, part).bytes), int32_t(number)});
      }
      sort_specials(v.specials, file + ": special_tokens");
    } else {
      require(part == "explicit_n_vocab", "{}: expected an Encoding's parts, found {}", file, printable(part));
    }
  }
  require(v.pattern != nullptr, "{}: the Encoding has no pat_str", file);
  v.bos = likely_bos(v.specials);
  check_vocabulary(v, file);
  return v;
}

}  // namespace kappa
