#include "train/schedules.h"

#include <vector>

#include "tests/support/catch.h"

using namespace kappa;

namespace {

struct Value {
  int64_t t;
  double value;
};

/// `of(t)` at all given steps, to 1e-12 in absolute and relative terms.
template <class Schedule>
void check(const std::vector<Value>& expected, Schedule of) {
  for (const auto& [t, value] : expected) {
    INFO("step " << t);
    CHECK(of(t) == Approx(value).epsilon(1e-12).margin(1e-14));
  }
}

constexpr int64_t headline = 10287;  // steps of the paper's smallest run

}  // namespace

TEST_CASE("schedules: the learning rates' multiplier") {
  check({{0, 1},
         {5143, 1},
         {5144, 0.9998055987558321},
         {5145, 0.999611197511664},
         {7715, 0.5},
         {9000, 0.250194401244168},
         {10286, 0.00019440124416796267},
         {10287, 0}},
        [](int64_t t) { return lr_multiplier({.steps = headline}, t); });
  check({{0, 0.1}, {9, 1}, {10, 1}, {60, 1}, {61, 0.9775}, {80, 0.55}, {100, 0.1}}, [](int64_t t) {
    return lr_multiplier({.steps = 100, .warmup_ratio = 0.1, .warmdown_ratio = 0.4, .final_fraction = 0.1}, t);
  });
  check({{0, 0.5 / 6}, {39, 0.5 / 6}, {40, 0.08333333333333333}, {69, 0.5}, {70, 0.5}, {71, 0.48333333333333334}, {100, 0}},
        [](int64_t t) { return lr_multiplier({.steps = 100, .warmup_ratio = 0.1, .restart_at = 40, .base_scale = 0.5}, t); });
}

TEST_CASE("schedules: the length of the way down rounds halves to the even number") {
  for (const auto& [steps, length] : std::vector<std::pair<int64_t, int64_t>>{
           {10279, 5140}, {10287, 5144}, {18471, 9236}, {45257, 22628}, {45110, 22555}, {126772, 63386}}) {
    INFO(steps << " steps");
    CHECK(lr_multiplier({.steps = steps}, steps - length) == 1);
    CHECK(lr_multiplier({.steps = steps}, steps - length + 1) == Approx(1 - 1 / double(length)).epsilon(1e-12));
  }
}

TEST_CASE("schedules: what a resumed run adds") {
  struct Case {
    int64_t t;
    ResumeWarmup resume;
    double lr, kappa;
  };
  for (const auto& [t, resume, lr, kappa] : std::vector<Case>{{4000, {-1, 50}, 1, 1},
                                                              {4000, {4000, 0}, 1, 1},
                                                              {4000, {4000, 50}, 0.02, 0},
                                                              {4024, {4000, 50}, 0.5, 0},
                                                              {4049, {4000, 50}, 1, 0},
                                                              {4050, {4000, 50}, 1, 1}}) {
    INFO("step " << t << " after " << resume.resumed_at);
    CHECK(resume_lr_factor(resume, t) == Approx(lr).epsilon(1e-12));
    CHECK(resume_kappa_factor(resume, t) == kappa);
  }
}

TEST_CASE("schedules: weight decay and Muon's momentum") {
  check({{0, 0.1125},
         {1, 0.11248906386701663},
         {2500, 0.08515966754155731},
         {5143, 0.05625546806649169},
         {10286, 1.0936132983371815e-05},
         {10287, 0}},
        [](int64_t t) { return 0.1125 * weight_decay_factor(headline, t); });
  check({{0, 0.85},
         {1, 0.8503333333333333},
         {100, 0.8833333333333334},
         {150, 0.8999999999999999},
         {299, 0.9496666666666667},
         {300, 0.95},
         {1000, 0.95}},
        muon_momentum);
}

TEST_CASE("schedules: when κ begins to learn") {
  for (const auto& [steps, delay] : std::vector<std::pair<int64_t, int64_t>>{{500, 200},
                                                                             {10279, 514},
                                                                             {10287, 515},
                                                                             {5025, 252},
                                                                             {11833, 592},
                                                                             {18471, 924},
                                                                             {45257, 2263},
                                                                             {45110, 2256},
                                                                             {126772, 6339}})
    CHECK(kappa_delay(steps) == delay);
  CHECK(kappa_delay(1000, 20, 0.1) == 100);
}

TEST_CASE("schedules: κ's learning rate") {
  const KappaLrSchedule paper{.steps = headline, .delay = 515};
  check({{0, 0},
         {200, 0},
         {514, 0},
         {515, 0},
         {516, 0.001},
         {1015, 0.5},
         {1514, 0.999},
         {1515, 1},
         {1516, 0.9999430004559964},
         {5901, 0.75},
         {8000, 0.6303579571363429},
         {10286, 0.5000569995440036},
         {10287, 0.5},
         {20000, 0.5}},
        [&](int64_t t) { return kappa_lr_scale(paper, t); });
  check({{199, 0}, {200, 0}, {350, 0.5}, {499, 0.9966666666666667}, {500, 1}},
        [](int64_t t) { return kappa_lr_scale({.steps = 500, .delay = 200}, t); });
  check({{0, 0}, {5, 0.5}, {10, 1}, {55, 0.6}, {100, 0.2}},
        [](int64_t t) { return kappa_lr_scale({.steps = 100, .delay = 0, .warmup = 10, .final_scale = 0.2}, t); });
  check({{50, 0}, {100, 1}}, [](int64_t t) { return kappa_lr_scale({.steps = 100, .delay = 200}, t); });
  check({{515, 0},
         {1015, 0.10606601717798213},
         {1515, 0.21213203435596426},
         {5143, 0.16826432912093017},
         {7715, 0.06858258657472807},
         {10286, 2.0621716292225696e-05}},
        [&](int64_t t) { return 0.3 * std::sqrt(0.5) * lr_multiplier({.steps = headline}, t) * kappa_lr_scale(paper, t); });
}

TEST_CASE("schedules: the bound of κ's slopes") {
  const KappaSlopeSchedule paper{.steps = headline, .delay = 515};
  check({{0, 1}, {514, 1}, {515, 1}, {516, 1.0019430051813472}, {1287, 2.5}, {2058, 3.998056994818653}, {2059, 4}, {9000, 4}},
        [&](int64_t t) { return kappa_slope_max(paper, 4, t); });
  check({{516, 1.0012953367875648}, {1287, 2}, {2058, 2.9987046632124352}, {2059, 3}},
        [&](int64_t t) { return kappa_slope_max(paper, 3, t); });
  check({{0, 1}, {5, 2}, {10, 3}, {50, 3}},
        [](int64_t t) { return kappa_slope_max({.steps = 100, .delay = 0, .warmup_fraction = 0.1}, 3, t); });
  check({{0, 1}, {19, 1}, {20, 1}, {25, 2}, {30, 3}},
        [](int64_t t) { return kappa_slope_max({.steps = 100, .delay = 20, .warmup_fraction = 0.1}, 3, t); });
  check({{0, 1}, {50, 1}}, [](int64_t t) { return kappa_slope_max({.steps = 100, .delay = 20}, 1, t); });
  check({{19, 1}, {20, 3}}, [](int64_t t) { return kappa_slope_max({.steps = 100, .delay = 20, .warmup_fraction = 0}, 3, t); });
}

TEST_CASE("schedules: the load-balancing loss's weight") {
  check({{0, 0.002}, {1, 0.001998}, {100, 0.0018}, {250, 0.0015}, {499, 0.001002}, {500, 0.001}, {900, 0.001}},
        [](int64_t t) { return aux_loss_weight({}, t); });
  CHECK(aux_loss_weight({.initial = 1e-4, .final_weight = 1e-3}, 0) == 1e-3);
  CHECK(aux_loss_weight({.steps = 0}, 7) == 2e-3);
}

TEST_CASE("schedules: the κ regularisers' weight") {
  const KappaL2Schedule ten{.steps = 10, .base = 1, .stage1_fraction = 0.1, .final_fraction = 0.01};
  check({{0, 1}, {5, 0.1}, {7, 0.064}, {10, 0.01}}, [&](int64_t t) { return kappa_l2_weight(ten, t); });
  const KappaL2Schedule rising{.steps = 10, .base = 1, .stage1_fraction = 0.1, .final_fraction = 0.4};
  check({{5, 0.1}, {7, 0.22}, {10, 0.4}}, [&](int64_t t) { return kappa_l2_weight(rising, t); });
  const KappaL2Schedule late{
      .steps = 20, .base = 1, .stage1_fraction = 0.5, .final_fraction = 0.1, .stage1_steps = 4, .no_learning = 4};
  check({{0, 0}, {3, 0}, {4, 1}, {6, 0.75}, {8, 0.5}, {14, 0.3}, {20, 0.1}}, [&](int64_t t) { return kappa_l2_weight(late, t); });
  check({{0, 0.01}, {5000, 0.01}, {headline, 0.01}}, [](int64_t t) { return kappa_l2_weight({.steps = headline}, t); });
  const KappaL2Schedule only_stage1{.steps = 10, .base = 2, .stage1_fraction = 0.5, .final_fraction = 0.1, .stage1_steps = 30};
  check({{5, 1.5}, {10, 1}}, [&](int64_t t) { return kappa_l2_weight(only_stage1, t); });
}
