// How a benchmark's numbers are said.

#include <fmt/format.h>

#include <algorithm>

#include "train/bench.h"

namespace kappa {
namespace {

constexpr double mib = 1 << 20;

/// "123.4 GFLOP/s   85%", "12.3 GB/s   60%", or nothing where nothing was counted.
std::string rate(const BenchRow& row, const MachinePeaks& peaks) {
  const double amount = row.by_products() ? row.flops : row.bytes;
  if (amount == 0 || row.seconds == 0) return {};
  const double rate = amount / row.seconds, peak = row.by_products() ? peaks.product : peaks.copy;
  return fmt::format("{:7.1f} {:7}  {:3.0f} %", rate / 1e9, row.by_products() ? "GFLOP/s" : "GB/s", 100 * rate / peak);
}

/// "16 × [256, 256]·[256, 1024]ᵀ": what is stored transposed is marked.
std::string name_of(const ProductShape& s) {
  const std::string batch = s.batch == 1 ? "" : fmt::format("{} × ", s.batch);
  return fmt::format("{}[{}, {}]{}·[{}, {}]{}", batch, s.m, s.k, s.transpose_a ? "ᵀ" : "", s.k, s.n, s.transpose_b ? "ᵀ" : "");
}

double tokens_per_second(const BenchReport& report, double seconds) { return double(report.tokens) / seconds; }

}  // namespace

std::string to_text(const BenchReport& r) {
  std::string text = fmt::format("{:<26} {:<9}{:>7}{:>10}{:>8}{:>10}  {:<15}  {}\n", "op", "", "calls", "ms", "share", "products",
                                 "rate", "of peak");
  for (const BenchRow& row : r.rows)
    text += fmt::format("{:<26} {:<9}{:>7.0f}{:>10.2f}{:>6.1f} %{:>8.0f} %  {}\n", row.op,
                        row.op == "other" ? "" : name_of(row.phase), row.calls, 1e3 * row.seconds, 100 * row.share,
                        100 * row.product_share, rate(row, r.peaks));
  text += fmt::format("\n{:<36} {:<9}{:>7}{:>10}  {:>15} {:>15}\n", "product", "", "calls", "ms", "GFLOP/s", "of the BLAS's");
  for (const BenchProduct& p : r.products)
    if (p.seconds > 0.002 * r.mean_step)
      text += fmt::format("{:<36} {:<9}{:>7.0f}{:>10.2f}  {:>15.1f} {:>13.0f} %\n", name_of(p.shape), name_of(p.phase), p.calls,
                          1e3 * p.seconds, p.shape.flops() / p.call / 1e9, 100 * p.share_of_library());
  text += fmt::format("\npeaks: products {:.1f} GFLOP/s, copies {:.1f} GB/s, {} threads\n", r.peaks.product / 1e9,
                      r.peaks.copy / 1e9, r.threads);
  text += fmt::format("forward and backward  {:8.1f} ms  {:8.0f} tokens/s   {:.1f} GFLOP\n", 1e3 * r.forward_backward,
                      tokens_per_second(r, r.forward_backward), r.flops / 1e9);
  text += fmt::format("whole step            {:8.1f} ms  {:8.0f} tokens/s   (medians of {} steps of {} tokens)\n", 1e3 * r.step,
                      tokens_per_second(r, r.step), r.steps, r.tokens);
  text += fmt::format(
      "of forward and backward {:.0f} % are spent in products, {:.0f} % in those at {:.0f} % of the BLAS's speed or more\n",
      100 * r.product_share, 100 * r.good_share, 100 * BenchProduct::good);
  const BenchReport::Memory& m = r.memory;
  text += fmt::format("\nMiB: parameters {:.1f}, gradients {:.1f}, optimizer {:.1f}, activations {:.1f}; resident {:.1f}\n",
                      double(m.parameters) / mib, double(m.gradients) / mib, double(m.optimizer) / mib,
                      double(m.activations) / mib, double(m.resident) / mib);
  text += "activations at their peak, by the op that took them:\n";
  std::vector<BenchRow> rows = r.rows;
  std::ranges::sort(rows, std::greater(), &BenchRow::held);
  for (const BenchRow& row : rows)
    if (double(row.held) > 0.005 * double(m.activations))
      text += fmt::format("  {:<26} {:<9}{:>10.2f} MiB\n", row.op, name_of(row.phase), double(row.held) / mib);
  return text;
}

nlohmann::ordered_json to_json(const BenchReport& r) {
  nlohmann::ordered_json ops = nlohmann::ordered_json::array();
  for (const BenchRow& row : r.rows) {
    const double peak = row.by_products() ? r.peaks.product : r.peaks.copy;
    const double rate = row.seconds > 0 ? (row.by_products() ? row.flops : row.bytes) / row.seconds : 0;
    ops.push_back({{"op", row.op},
                   {"phase", row.op == "other" ? "" : name_of(row.phase)},
                   {"calls", row.calls},
                   {"ms", 1e3 * row.seconds},
                   {"share", row.share},
                   {"product_share", row.product_share},
                   {"flop", row.flops},
                   {"bytes", row.bytes},
                   {row.by_products() ? "gflop_per_second" : "gb_per_second", rate / 1e9},
                   {"share_of_peak", rate / peak},
                   {"activation_bytes", row.held}});
  }
  nlohmann::ordered_json products = nlohmann::ordered_json::array();
  for (const BenchProduct& p : r.products)
    products.push_back({{"batch", p.shape.batch},
                        {"m", p.shape.m},
                        {"n", p.shape.n},
                        {"k", p.shape.k},
                        {"transpose_a", p.shape.transpose_a},
                        {"transpose_b", p.shape.transpose_b},
                        {"phase", name_of(p.phase)},
                        {"calls", p.calls},
                        {"ms", 1e3 * p.seconds},
                        {"gflop_per_second", p.shape.flops() / p.call / 1e9},
                        {"blas_gflop_per_second", p.shape.flops() / p.library / 1e9},
                        {"share_of_blas", p.share_of_library()}});
  return {{"threads", r.threads},
          {"steps", r.steps},
          {"tokens", r.tokens},
          {"peaks", {{"gflop_per_second", r.peaks.product / 1e9}, {"gb_per_second", r.peaks.copy / 1e9}}},
          {"forward_backward",
           {{"ms", 1e3 * r.forward_backward},
            {"tokens_per_second", tokens_per_second(r, r.forward_backward)},
            {"flop", r.flops},
            {"product_share", r.product_share},
            {"share_at_blas_speed", r.good_share}}},
          {"step", {{"ms", 1e3 * r.step}, {"mean_ms", 1e3 * r.mean_step}, {"tokens_per_second", tokens_per_second(r, r.step)}}},
          {"ops", ops},
          {"products", products},
          {"memory",
           {{"parameters", r.memory.parameters},
            {"gradients", r.memory.gradients},
            {"optimizer", r.memory.optimizer},
            {"activations", r.memory.activations},
            {"resident", r.memory.resident}}}};
}

}  // namespace kappa
