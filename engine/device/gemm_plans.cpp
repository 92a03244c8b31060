#include "engine/device/gemm_plans.h"

#include <charconv>

#include "engine/core/error.h"
#include "engine/core/file.h"

namespace kappa {

std::string GemmPlans::key(DType in, DType out, const GemmShape& s, bool add, bool aligned) {
  return fmt::format("{},{} m={} n={} k={} batch={} a={} b={} beta={} aligned={}", name_of(in), name_of(out), s.m, s.n, s.k,
                     s.batch, s.transpose_a ? 't' : 'n', s.transpose_b ? 't' : 'n', int(add), int(aligned));
}

std::optional<GemmPlans::Algorithm> GemmPlans::find(const std::string& key) const {
  const auto found = plans_.find(key);
  return found == plans_.end() ? std::nullopt : std::optional(found->second);
}

void GemmPlans::set(const std::string& key, const Algorithm& algorithm) {
  plans_[key] = algorithm;
  if (!file_.empty()) write_file(file_, text(library_));
}

std::string GemmPlans::text(std::string_view library) const {
  std::string text = fmt::format("{}\n", library);
  for (const auto& [key, algorithm] : plans_) {
    text += key + " ";
    for (uint64_t word : algorithm) text += fmt::format("{:016x}", word);
    text += "\n";
  }
  return text;
}

static std::optional<GemmPlans::Algorithm> algorithm_in(std::string_view hex) {
  GemmPlans::Algorithm algorithm{};
  if (hex.size() != 16 * algorithm.size()) return std::nullopt;
  for (uint64_t& word : algorithm) {
    const auto [end, error] = std::from_chars(hex.data(), hex.data() + 16, word, 16);
    if (error != std::errc() || end != hex.data() + 16) return std::nullopt;
    hex.remove_prefix(16);
  }
  return algorithm;
}

bool GemmPlans::load(std::string_view text, std::string_view library, std::string_view file) {
  std::map<std::string, Algorithm> loaded;
  bool ours = false;
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    require(end != std::string_view::npos, "{}: line {}: not ended; the file is cut off", file, number);
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (number == 1) {
      ours = line == library;
      continue;
    }
    const size_t space = line.rfind(' ');
    const auto algorithm = space == std::string_view::npos ? std::nullopt : algorithm_in(line.substr(space + 1));
    require(algorithm.has_value(), "{}: line {}: expected a shape and 128 hexadecimal digits, found \"{}\"", file, number, line);
    loaded[std::string(line.substr(0, space))] = *algorithm;
  }
  if (!ours) return false;
  loaded.merge(plans_);
  plans_ = std::move(loaded);
  return true;
}

bool GemmPlans::keep(const std::filesystem::path& file, std::string_view library) {
  const bool ours = !std::filesystem::exists(file) || load(read_file(file), library, file.string());
  file_ = file, library_ = library;
  return ours;
}

bool keep_gemm_plans(Device device, const std::filesystem::path& file) {
  return device != Device::cuda || keep_gemm_plans_of_gpu(file);
}

}  // namespace kappa
