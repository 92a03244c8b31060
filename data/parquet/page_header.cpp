#include "data/parquet/page_header.h"

#include "data/parquet/thrift.h"
#include "engine/core/error.h"

namespace kappa::parquet {
namespace {

using Field = ThriftReader::Field;

/// DataPageHeader; DictionaryPageHeader begins with the same two fields.
void read_values_header(ThriftReader& thrift, Field field, PageHeader& header) {
  thrift.structure(field, [&](Field f) {
    switch (f.id) {
      case 1:
        header.values = thrift.int32(f);
        break;
      case 2:
        header.encoding = Encoding(thrift.int32(f));
        break;
      case 3:
        if (header.type == PageType::data)
          header.levels = Encoding(thrift.int32(f));
        else
          thrift.skip(f);
        break;
      default:
        thrift.skip(f);
    }
  });
}

/// DataPageHeaderV2.
void read_values_header_2(ThriftReader& thrift, Field field, PageHeader& header) {
  thrift.structure(field, [&](Field f) {
    switch (f.id) {
      case 1:
        header.values = thrift.int32(f);
        break;
      case 2:
        header.nulls = thrift.int32(f);
        break;
      case 4:
        header.encoding = Encoding(thrift.int32(f));
        break;
      case 5:
        header.definition = thrift.int32(f);
        break;
      case 6:
        header.repetition = thrift.int32(f);
        break;
      case 7:
        header.compressed = thrift.boolean(f);
        break;
      default:
        thrift.skip(f);
    }
  });
}

}  // namespace

PageHeader read_page_header(std::string_view bytes) {
  PageHeader header;
  ThriftReader thrift(bytes);
  int described = -1;  // which PageType the header is for
  thrift.structure(ThriftReader::root, [&](Field f) {
    switch (f.id) {
      case 1:
        header.type = PageType(thrift.int32(f));
        break;
      case 2:
        header.unpacked_size = thrift.int32(f);
        break;
      case 3:
        header.size = thrift.int32(f);
        break;
      case 4:
        header.crc = thrift.int32(f);
        break;
      case 5:
      case 7:
        read_values_header(thrift, f, header);
        described = f.id == 5 ? int(PageType::data) : int(PageType::dictionary);
        break;
      case 8:
        read_values_header_2(thrift, f, header);
        described = int(PageType::data_v2);
        break;
      default:
        thrift.skip(f);
    }
  });
  header.bytes = thrift.position();
  const bool has_values =
      header.type == PageType::data || header.type == PageType::dictionary || header.type == PageType::data_v2;
  require(!has_values || described == int(header.type), "expected a header for a page of type {}, found another",
          int(header.type));
  require(header.size >= 0 && header.unpacked_size >= 0 && header.values >= 0 && header.nulls >= 0,
          "expected sizes and counts, found {} bytes, {} decompressed, {} values, {} nulls", header.size, header.unpacked_size,
          header.values, header.nulls);
  require(header.definition >= 0 && header.repetition >= 0 &&
              int64_t{header.definition} + header.repetition <= std::min(header.size, header.unpacked_size),
          "expected levels within the page's {} bytes, found {} and {} bytes of them", header.size, header.definition,
          header.repetition);
  return header;
}

}  // namespace kappa::parquet
