#include "data/parquet/footer.h"

#include <algorithm>
#include <cstring>

#include "data/parquet/thrift.h"
#include "engine/core/error.h"
#include "engine/core/text.h"

namespace kappa::parquet {
namespace {

using Field = ThriftReader::Field;

constexpr std::string_view magic = "PAR1", encrypted_magic = "PARE";
constexpr size_t tail = 8;  // the footer's length and the magic bytes

SchemaElement read_schema_element(ThriftReader& thrift, Field field) {
  SchemaElement element;
  thrift.structure(field, [&](Field f) {
    switch (f.id) {
      case 1:
        element.type = thrift.int32(f);
        break;
      case 3:
        element.repetition = Repetition(thrift.int32(f));
        break;
      case 4:
        element.name = thrift.binary(f);
        break;
      case 5:
        element.children = thrift.int32(f);
        break;
      case 6:
        element.converted = thrift.int32(f);
        break;
      case 10:  // a union: the field that is there says which type it is
        thrift.structure(f, [&](Field logical) {
          element.logical = logical.id;
          thrift.skip(logical);
        });
        break;
      default:
        thrift.skip(f);
    }
  });
  return element;
}

/// ColumnMetaData.
ColumnChunk read_column_metadata(ThriftReader& thrift, Field field) {
  ColumnChunk chunk;
  int64_t data_pages = 0, dictionary_page = 0;
  thrift.structure(field, [&](Field f) {
    switch (f.id) {
      case 2:
        thrift.list(f, [&](Field e) { chunk.encodings.push_back(Encoding(thrift.int32(e))); });
        break;
      case 4:
        chunk.codec = Codec(thrift.int32(f));
        break;
      case 5:
        chunk.values = thrift.integer(f);
        break;
      case 6:
        chunk.unpacked_bytes = thrift.integer(f);
        break;
      case 7:
        chunk.bytes = thrift.integer(f);
        break;
      case 9:
        data_pages = thrift.integer(f);
        break;
      case 11:
        dictionary_page = thrift.integer(f);
        break;
      default:
        thrift.skip(f);
    }
  });
  // Some writers say 0 where there is no dictionary.
  chunk.begin = dictionary_page > 0 ? std::min(dictionary_page, data_pages) : data_pages;
  return chunk;
}

ColumnChunk read_column_chunk(ThriftReader& thrift, Field field) {
  ColumnChunk chunk;
  bool described = false;
  thrift.structure(field, [&](Field f) {
    switch (f.id) {
      case 1:
        throw InputError(fmt::format("expected columns in this file, found one in {}", printable(thrift.binary(f))));
      case 3:
        chunk = read_column_metadata(thrift, f);
        described = true;
        break;
      case 8:
        throw InputError("expected a column that can be read without a key, found an encrypted one");
      default:
        thrift.skip(f);
    }
  });
  require(described, "expected the description of a column, found none");
  return chunk;
}

RowGroup read_row_group(ThriftReader& thrift, Field field, int32_t leaf) {
  RowGroup row_group;
  bool found = false;
  thrift.structure(field, [&](Field f) {
    switch (f.id) {
      case 1:
        thrift.list(f, [&](Field column) {
          if (column.id == leaf)
            row_group.column = read_column_chunk(thrift, column), found = true;
          else
            thrift.skip(column);
        });
        break;
      case 3:
        row_group.rows = thrift.integer(f);
        break;
      default:
        thrift.skip(f);
    }
  });
  require(found, "expected column {} of the row group, found fewer", leaf);
  require(row_group.rows >= 0, "expected a number of rows, found {}", row_group.rows);
  return row_group;
}

/// Everything but the row groups, which are read when the column's place in them is known; `row_groups` tells where they are.
Footer read_file_metadata(std::string_view bytes, Field& field, size_t& position) {
  Footer footer;
  position = 0;
  ThriftReader thrift(bytes);
  thrift.structure(ThriftReader::root, [&](Field f) {
    switch (f.id) {
      case 2:
        thrift.list(f, [&](Field e) { footer.schema.push_back(read_schema_element(thrift, e)); });
        break;
      case 3:
        footer.rows = thrift.integer(f);
        break;
      case 4:
        field = f;
        position = thrift.position();
        thrift.skip(f);
        break;
      case 6:
        footer.created_by = thrift.binary(f);
        break;
      case 8:
        throw InputError("expected a file that can be read without a key, found an encrypted one");
      default:
        thrift.skip(f);
    }
  });
  return footer;
}

/// Which of the schema's leaves the column is.
int32_t find_column(Footer& footer, std::string_view name) {
  const auto& schema = footer.schema;
  int64_t children = 0;
  for (const SchemaElement& e : schema) children += std::max(e.children, 0);
  require(children + 1 == int64_t(schema.size()) && subtree_end(schema, 0) == schema.size(),
          "expected a schema of one tree, found {} elements with {} children", schema.size(), children);
  int32_t leaf = 0;
  std::string others;
  for (size_t at = 1; at < schema.size();) {
    const SchemaElement& e = schema[at];
    const size_t end = subtree_end(schema, at);
    if (e.name == name) {
      require(e.type >= 0 && e.children == 0, "column {}: expected strings, found a group", printable(name));
      require(e.repetition != Repetition::repeated, "column {}: expected a string a row, found a list", printable(name));
      require(e.type == int32_t(Physical::byte_array), "column {}: expected strings (BYTE_ARRAY), found {}", printable(name),
              to_string(Physical(e.type)));
      footer.optional = e.repetition == Repetition::optional;
      return leaf;
    }
    others += (others.empty() ? "" : ", ") + e.name;
    for (; at < end; ++at) leaf += schema[at].type >= 0;
  }
  throw InputError(
      fmt::format("expected a column of strings named {}, found the columns {}", printable(name), printable(others)));
}

}  // namespace

size_t subtree_end(const std::vector<SchemaElement>& schema, size_t at) {
  for (int64_t open = 1; open > 0 && at < schema.size(); ++at) open += std::max(schema[at].children, 0) - 1;
  return at;
}

Footer read_footer(std::string_view file, std::string_view column) {
  require(file.size() >= magic.size() + tail, "expected a Parquet file, found {} bytes", file.size());
  const std::string_view last = file.substr(file.size() - magic.size());
  require(last != encrypted_magic, "expected a file that can be read without a key, found an encrypted one");
  require(file.starts_with(magic) && last == magic, "expected a Parquet file, which begins and ends with PAR1; found {} … {}",
          printable(file.substr(0, magic.size())), printable(last));
  uint32_t length = 0;
  std::memcpy(&length, file.data() + file.size() - tail, sizeof length);
  require(length <= file.size() - tail - magic.size(), "expected a footer within the file's {} bytes, found a length of {}",
          file.size(), length);

  const std::string_view bytes = file.substr(file.size() - tail - length, length);
  Field field{};
  size_t position = 0;
  Footer footer = read_file_metadata(bytes, field, position);
  const int32_t leaf = find_column(footer, column);
  if (position > 0) {
    ThriftReader thrift(bytes.substr(position));
    thrift.list(field, [&](Field e) { footer.row_groups.push_back(read_row_group(thrift, e, leaf)); });
  }
  return footer;
}

std::string_view column_bytes(std::string_view file, const RowGroup& row_group) {
  const ColumnChunk& chunk = row_group.column;
  const auto size = int64_t(file.size());
  require(chunk.values == row_group.rows, "expected a value for each of {} rows, found {}", row_group.rows, chunk.values);
  if (row_group.rows == 0) return file.substr(0, 0);  // some writers then say that the pages begin at 0
  require(chunk.begin >= int64_t(magic.size()) && chunk.bytes >= 0 && chunk.begin <= size && chunk.bytes <= size - chunk.begin,
          "expected pages within the file's {} bytes, found {} bytes from byte {} on", size, chunk.bytes, chunk.begin);
  return file.substr(size_t(chunk.begin), size_t(chunk.bytes));
}

}  // namespace kappa::parquet
