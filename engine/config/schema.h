#pragma once
// Configurations are structs; a schema says once, key by key, what their fields are called in a file, what they mean and which
// values they take. From that one description come strict reading, overrides, writing, the reference page and comparison:
//
//     void describe(Schema::Section section, ModelConfig& c) {
//       section.key("n_layer", c.n_layer, "number of transformer blocks", at_least(1));
//       …
//     }
//     ModelConfig config;
//     Schema schema;
//     describe(schema.section("model", "The network."), config);
//     schema.read(text, "x.yaml");   // x.yaml:12: model.n_headd: unknown key (did you mean n_head?)
//
// A schema holds references to the fields, which must outlive it.

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/config/yaml.h"
#include "engine/core/error.h"

namespace kappa {

/// A value that may be left to the program: `auto` in a file, nothing in the struct.
template <class T>
using Auto = std::optional<T>;

/// Which numbers a key takes. Integers are further bound to ±2⁵³, so that every reader of JSON sees them exactly.
struct Interval {
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
  bool above_low = false, below_high = false;  // the bound itself does not belong
  bool minus_one = false;                      // −1 does, with a meaning of its own

  bool contains(double x) const;
  /// " of at least 1", " in [0, 1)", …
  std::string words() const;
};

inline Interval at_least(double low) { return {.low = low}; }
inline Interval above(double low) { return {.low = low, .above_low = true}; }
inline Interval between(double low, double high) { return {.low = low, .high = high}; }
/// [low, high)
inline Interval half_open(double low, double high) { return {.low = low, .high = high, .below_high = true}; }
inline Interval minus_one_or(Interval range) {
  range.minus_one = true;
  return range;
}

/// Two configurations that do not agree in a key.
struct Difference {
  std::string key, left, right;
};

class Schema {
 public:
  /// The keys of one struct, under one name.
  class Section {
   public:
    void key(const std::string& name, int64_t& field, const std::string& help, Interval range = {});
    void key(const std::string& name, double& field, const std::string& help, Interval range = {});
    void key(const std::string& name, Auto<int64_t>& field, const std::string& help, Interval range = {});
    void key(const std::string& name, bool& field, const std::string& help);
    void key(const std::string& name, std::string& field, const std::string& help);
    void key(const std::string& name, std::vector<int64_t>& field, const std::string& help, Interval range = {});
    /// An enum whose values count from 0 and are called as `names_of(E)` lists them.
    template <class E>
    requires std::is_enum_v<E>
    void key(const std::string& name, E& field, const std::string& help) {
      const auto& names = names_of(E{});
      choice(
          name, {std::begin(names), std::end(names)}, help, [&field] { return size_t(field); },
          [&field](size_t value) { field = E(value); });
    }

   private:
    friend class Schema;
    Section(Schema& schema, std::string prefix) : schema_(schema), prefix_(std::move(prefix)) {}
    void add(const std::string& name, std::string help, std::string expected, std::function<std::string()> text,
             std::function<bool(const ConfigValue&)> assign);
    void choice(const std::string& name, const std::vector<std::string>& names, const std::string& help,
                std::function<size_t()> get, std::function<void(size_t)> put);
    Schema& schema_;
    std::string prefix_;  // "model."
  };

  /// Begins a section; with an empty name, its keys stand at the top of the file.
  Section section(const std::string& name, const std::string& help);

  /// Takes the values of a file. Throws InputError naming the place and the key: `x.yaml:7: model.n_embd: expected …, found …`.
  void read(std::string_view yaml, const std::string& file);
  /// The same, where sections that this schema does not know belong to somebody else. The file must have one that it does know.
  void read_own_sections(std::string_view yaml, const std::string& file);
  /// Takes one value, as in `--set model.n_layer=4`. A list is `[1, 2]`.
  void set(std::string_view assignment);

  /// Whether a file or an override has given the key.
  bool given(const std::string& key) const { return !find(key).place.empty(); }

  /// Throws InputError unless `condition` holds: `x.yaml:7: model.n_embd = 770, model.n_head = 6 (x.yaml:9): ` and the message.
  template <class... Args>
  void require(bool condition, const std::vector<std::string>& keys, fmt::format_string<Args...> message, Args&&... args) const {
    if (!condition) throw InputError(citation(keys) + ": " + fmt::format(message, std::forward<Args>(args)...));
  }

  /// The names of all keys, in the order of the description.
  std::vector<std::string> names() const;
  /// All values as YAML, in the order of the description.
  std::string yaml() const;
  /// The same, each key with its line of help.
  std::string reference() const;
  /// The keys in which two configurations of the same description differ.
  friend std::vector<Difference> differences(const Schema& left, const Schema& right);

 private:
  struct Key {
    std::string name;                                // "model.n_layer"
    std::string help;                                // one line
    std::string expected;                            // "an integer of at least 1"
    std::function<std::string()> text;               // the value, as YAML
    std::function<bool(const ConfigValue&)> assign;  // false, and nothing changed, where the value is not as expected; throws
                                                     // InputError where an element of it is not
    std::string place = {};                          // who gave it: "x.yaml:12", "--set"; empty for a default
  };
  struct Heading {
    std::string name, help;
    size_t first_key;
  };

  const Key& find(const std::string& key) const;
  bool knows_section(std::string_view name) const;
  void assign(const std::string& key, const ConfigValue& value, const std::string& place);
  std::string suggestion(std::string_view key) const;
  std::string citation(const std::vector<std::string>& keys) const;
  std::string render(bool with_help) const;

  std::vector<Key> keys_;
  std::vector<Heading> headings_;
};

}  // namespace kappa
