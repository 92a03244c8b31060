#include "data/tokenizer/unicode_classes.h"

#include <algorithm>

namespace kappa {

static detail::ClassTable make_table() {
  std::vector<CharSet> all(0x110000, char_class::other);
  for (const auto& [first, last, type] : class_ranges()) std::fill(all.begin() + first, all.begin() + last + 1, type);
  for (const char newline : {'\n', '\r'}) all[size_t(newline)] |= char_class::newline;

  detail::ClassTable table;
  for (size_t b = 0; b < table.block.size(); ++b) {
    std::array<CharSet, 256> classes;
    std::copy_n(all.begin() + ptrdiff_t(256 * b), 256, classes.begin());
    const auto found = std::find(table.classes.begin(), table.classes.end(), classes);
    table.block[b] = uint16_t(found - table.classes.begin());
    if (found == table.classes.end()) table.classes.push_back(classes);
  }
  return table;
}

const detail::ClassTable detail::class_table = make_table();

}  // namespace kappa
