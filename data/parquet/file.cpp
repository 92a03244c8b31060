#include "data/parquet/file.h"

#include "data/parquet/codec.h"
#include "engine/core/error.h"

namespace kappa::parquet {
namespace {

Footer checked_footer(std::string_view bytes, const std::string& name, std::string_view column) {
  try {
    Footer footer = read_footer(bytes, column);
    int64_t rows = 0;
    for (const RowGroup& row_group : footer.row_groups) {
      require_codec(row_group.column.codec);
      require(!__builtin_add_overflow(rows, row_group.rows, &rows), "expected a number of rows, found more than 2^63");
    }
    require(rows == footer.rows, "expected {} rows in all row groups, found {}", footer.rows, rows);
    return footer;
  } catch (const InputError& error) {
    throw InputError(fmt::format("{}: {}", name, error.what()));
  }
}

std::string_view text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

}  // namespace

File::File(const std::filesystem::path& path, std::string_view column)
    : map_(path), bytes_(text_of(map_->bytes())), name_(path.string()), footer_(checked_footer(bytes_, name_, column)) {}

File::File(std::string_view bytes, std::string name, std::string_view column)
    : bytes_(bytes), name_(std::move(name)), footer_(checked_footer(bytes_, name_, column)) {}

}  // namespace kappa::parquet
