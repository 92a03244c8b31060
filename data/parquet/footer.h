#pragma once
// What a Parquet file says of itself: its schema, its row groups, and where in them the pages of one column are.
//
//     "PAR1"  pages of row group 0, column by column  …  footer  length of the footer (4 bytes)  "PAR1"
//
// The column is one of strings at the top level of the schema; beside it there may be anything.

#include <string>
#include <string_view>
#include <vector>

#include "data/parquet/format.h"

namespace kappa::parquet {

/// A node of the schema, which is a tree written down depth first.
struct SchemaElement {
  std::string name;
  int32_t type = -1;  // Physical; −1 of a group
  Repetition repetition = Repetition::required;
  int32_t children = 0;
  int32_t converted = -1, logical = -1;  // what the bytes mean; −1 where it is not said
};

/// The column's part of a row group.
struct ColumnChunk {
  Codec codec = Codec::none;
  int64_t values = 0;                                // nulls count
  int64_t begin = 0, bytes = 0, unpacked_bytes = 0;  // its pages: where in the file, how long, how long without compression
  std::vector<Encoding> encodings = {};
};

struct RowGroup {
  int64_t rows = 0;
  ColumnChunk column = {};
};

struct Footer {
  int64_t rows = 0;
  std::string created_by = {};
  std::vector<SchemaElement> schema = {};  // the first is the root
  bool optional = false;                   // whether the column may have nulls
  std::vector<RowGroup> row_groups = {};
};

/// Reads the end of `file`, for the column named `column`. Throws InputError if this is no Parquet file, if its footer is damaged
/// or encrypted, or if it has no such column of strings. The places of pages are not checked yet.
Footer read_footer(std::string_view file, std::string_view column);

/// The pages of a row group's column; nothing where there are no rows. Throws InputError unless they lie within the file and hold
/// a value for every row.
std::string_view column_bytes(std::string_view file, const RowGroup& row_group);

/// Where the subtree of element `at` ends; what is behind the end of the schema has no children.
size_t subtree_end(const std::vector<SchemaElement>& schema, size_t at);

}  // namespace kappa::parquet
