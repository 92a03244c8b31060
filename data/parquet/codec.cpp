#include "data/parquet/codec.h"

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>
#ifdef KAPPA_WITH_LZ4
#include <lz4.h>
#endif
#ifdef KAPPA_WITH_BROTLI
#include <brotli/decode.h>
#endif

#include "engine/core/error.h"

namespace kappa::parquet {

struct Decompressor::State {
  ZSTD_DCtx* zstd = nullptr;
  z_stream zlib{};
  bool zlib_ready = false;

  ~State() {
    ZSTD_freeDCtx(zstd);
    if (zlib_ready) inflateEnd(&zlib);
  }
};

Decompressor::Decompressor() : state_(std::make_unique<State>()) {}
Decompressor::~Decompressor() = default;
Decompressor::Decompressor(Decompressor&&) noexcept = default;

namespace {

/// How many bytes one byte of a codec's format can stand for; 0: without a limit worth stating.
int64_t largest_ratio(Codec codec) {
  switch (codec) {
    case Codec::snappy:
      return 22;  // a copy of 64 bytes takes 3
    case Codec::gzip:
      return 1032;  // a match of 258 bytes takes two bits
    case Codec::zstd:
      return 32768;  // a block of 128 KiB takes 4
    case Codec::lz4_raw:
      return 255;  // each further byte of a match's length
    default:
      return 0;
  }
}

void snappy_unpack(std::string_view packed, char* out, size_t size) {
  size_t found = 0;
  require(snappy_uncompressed_length(packed.data(), packed.size(), &found) == SNAPPY_OK && found == size,
          "SNAPPY: expected {} bytes, found {}", size, found);
  require(snappy_uncompress(packed.data(), packed.size(), out, &found) == SNAPPY_OK,
          "SNAPPY: expected {} bytes, found damaged ones", size);
}

void gzip_unpack(z_stream& z, std::string_view packed, char* out, size_t size) {
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  z.avail_in = uInt(packed.size());
  z.next_out = reinterpret_cast<Bytef*>(out);
  z.avail_out = uInt(size);
  int result = Z_STREAM_END;
  while (result == Z_STREAM_END && z.avail_in > 0 && z.avail_out > 0) {  // a page may be several streams, one after the other
    require(inflateReset(&z) == Z_OK, "GZIP: cannot begin");
    result = inflate(&z, Z_FINISH);
  }
  require(result == Z_STREAM_END && z.avail_out == 0, "GZIP: expected {} bytes, found {}{}", size, size - z.avail_out,
          z.msg != nullptr ? fmt::format(" and then {}", z.msg) : "");
}

void zstd_unpack(ZSTD_DCtx* context, std::string_view packed, char* out, size_t size) {
  const size_t found = ZSTD_decompressDCtx(context, out, size, packed.data(), packed.size());
  require(!ZSTD_isError(found), "ZSTD: expected {} bytes, found {}", size, ZSTD_getErrorName(found));
  require(found == size, "ZSTD: expected {} bytes, found {}", size, found);
}

#ifdef KAPPA_WITH_LZ4
void lz4_unpack(std::string_view packed, char* out, size_t size) {
  const int found = LZ4_decompress_safe(packed.data(), out, int(packed.size()), int(size));
  require(found >= 0, "LZ4_RAW: expected {} bytes, found damaged ones", size);
  require(size_t(found) == size, "LZ4_RAW: expected {} bytes, found {}", size, found);
}
#endif

#ifdef KAPPA_WITH_BROTLI
void brotli_unpack(std::string_view packed, char* out, size_t size) {
  size_t found = size;
  const auto result = BrotliDecoderDecompress(packed.size(), reinterpret_cast<const uint8_t*>(packed.data()), &found,
                                              reinterpret_cast<uint8_t*>(out));
  require(result == BROTLI_DECODER_RESULT_SUCCESS, "BROTLI: expected {} bytes, found damaged or more ones", size);
  require(found == size, "BROTLI: expected {} bytes, found {}", size, found);
}
#endif

}  // namespace

void require_codec(Codec codec) {
  switch (codec) {
    case Codec::none:
    case Codec::snappy:
    case Codec::gzip:
    case Codec::zstd:
#ifdef KAPPA_WITH_LZ4
    case Codec::lz4_raw:
#endif
#ifdef KAPPA_WITH_BROTLI
    case Codec::brotli:
#endif
      return;
#ifndef KAPPA_WITH_LZ4
    case Codec::lz4_raw:
      throw InputError("codec LZ4_RAW: this program was built without liblz4");
#endif
#ifndef KAPPA_WITH_BROTLI
    case Codec::brotli:
      throw InputError("codec BROTLI: this program was built without libbrotli");
#endif
    default:
      throw InputError(fmt::format("codec {}: expected UNCOMPRESSED, SNAPPY, GZIP, ZSTD, LZ4_RAW or BROTLI", to_string(codec)));
  }
}

std::string_view Decompressor::operator()(Codec codec, std::string_view packed, int64_t size, Buffer& buffer) {
  const auto packed_size = int64_t(packed.size());
  require(size >= 0 && size <= largest_page && packed_size <= largest_page,
          "expected a page of at most {} bytes, found {} and {} decompressed", largest_page, packed_size, size);
  if (codec == Codec::none) {
    require(packed_size == size, "UNCOMPRESSED: expected {} bytes, found {}", size, packed_size);
    return packed;
  }
  if (size == 0) return {};
  const int64_t ratio = largest_ratio(codec);
  require(packed_size > 0 && (ratio == 0 || size <= ratio * packed_size), "{}: {} bytes cannot stand for {}", to_string(codec),
          packed_size, size);

  char* out = buffer.reserve(size_t(size));
  switch (codec) {
    case Codec::snappy:
      snappy_unpack(packed, out, size_t(size));
      break;
    case Codec::gzip:
      if (!state_->zlib_ready) {
        constexpr int gzip_or_zlib = 15 + 32;
        state_->zlib_ready = inflateInit2(&state_->zlib, gzip_or_zlib) == Z_OK;
        if (!state_->zlib_ready) throw RunError("GZIP: cannot allocate");
      }
      gzip_unpack(state_->zlib, packed, out, size_t(size));
      break;
    case Codec::zstd:
      if (state_->zstd == nullptr) state_->zstd = ZSTD_createDCtx();
      if (state_->zstd == nullptr) throw RunError("ZSTD: cannot allocate");
      zstd_unpack(state_->zstd, packed, out, size_t(size));
      break;
#ifdef KAPPA_WITH_LZ4
    case Codec::lz4_raw:
      lz4_unpack(packed, out, size_t(size));
      break;
#endif
#ifdef KAPPA_WITH_BROTLI
    case Codec::brotli:
      brotli_unpack(packed, out, size_t(size));
      break;
#endif
    default:
      require_codec(codec);
  }
  return {out, size_t(size)};
}

}  // namespace kappa::parquet
