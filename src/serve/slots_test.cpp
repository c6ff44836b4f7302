#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "plane/route_file.hpp"
#include "serve/failures.hpp"
#include "serve/rate.hpp"
#include "serve/slots.hpp"
#include "serve/tensor.hpp"
#include "serve/world_fixture.hpp"

namespace heddle::serve {
namespace {

using namespace fixture;  // NOLINT: a test
using plane::Cohort;

constexpr DrawSecret kSecret = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

/// Keys that a hash without a secret (64-bit FNV-1a with a finaliser) sends to the canary at 5 %: a
/// client can compute it.
std::vector<std::string> chosen_keys(std::size_t n) {
  std::vector<std::string> keys;
  for (int i = 0; keys.size() < n; ++i) {
    std::string key = fmt::format("chosen-{}", i);
    std::uint64_t hash = 0xcbf29ce484222325ull;
    for (const char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
    hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdull;
    hash ^= hash >> 33;
    if (hash % 10'000 < 500) keys.push_back(std::move(key));
  }
  return keys;
}

TEST(Draw, ChosenKeysAreDrawnLikeAnyOthers) {
  const auto keys = chosen_keys(300);
  for (std::uint64_t run = 1; run <= 100; ++run) {
    const DrawSecret secret = {run, ~run};
    std::array<int, 3> counts{};
    for (const auto& key : keys) ++counts[static_cast<std::size_t>(draw(500, secret, key))];
    // Binomial with p = .05, n = 300: mean 15, standard deviation 3.8.
    EXPECT_LT(counts[static_cast<std::size_t>(Cohort::kCanary)], 15 + 5 * 4) << run;
    EXPECT_LT(counts[static_cast<std::size_t>(Cohort::kBaseline)], 15 + 5 * 4) << run;
  }
}

TEST(Draw, HashesAsOpenSslDoes) {
  std::string bytes;
  for (char c = 0; c < 16; ++c) bytes += c;
  ASSERT_EQ(draw_secret_of(bytes), kSecret);
  // `openssl mac -macopt hexkey:000102030405060708090a0b0c0d0e0f -macopt size:8 SIPHASH` of
  // OpenSSL 3.0.19 over the first bytes of the key itself, the lowest byte first.
  const std::map<std::size_t, std::uint64_t> hashes = {{0, 0x726fdb47dd0e0e31},
                                                       {1, 0x74f839c593dc67fd},
                                                       {8, 0x93f5f5799a932462},
                                                       {15, 0xa129ca6149be45e5},
                                                       {16, 0x3f2acc7f57c29bdb}};
  for (const auto& [length, hash] : hashes) {
    const auto place = static_cast<std::uint32_t>(hash % 10'000);
    const std::uint32_t from_its_end = place < 5000 ? place : 9'999 - place;
    const Cohort side = place < 5000 ? Cohort::kCanary : Cohort::kBaseline;
    const auto key = std::string_view(bytes).substr(0, length);
    EXPECT_EQ(draw(from_its_end, kSecret, key), Cohort::kNone) << length;
    EXPECT_EQ(draw(from_its_end + 1, kSecret, key), side) << length;
  }
}

TEST(Draw, AnotherRunDrawsOtherwise) {
  int moved = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string key = fmt::format("client-{}", i);
    if (draw(5000, kSecret, key) != draw(5000, {kSecret[0] + 1, kSecret[1]}, key)) ++moved;
  }
  EXPECT_NEAR(moved, 500, 80);  // five standard deviations
}

TEST(Draw, TakesTheSharesItSaysAndIsSticky) {
  std::array<int, 3> counts{};
  for (int i = 0; i < 100'000; ++i) {
    const std::string key = fmt::format("request-{}", i);
    const Cohort cohort = draw(500, kSecret, key);
    EXPECT_EQ(draw(500, kSecret, key), cohort);
    ++counts[static_cast<std::size_t>(cohort)];
  }
  // Binomial with p = .05: the standard deviation is 69.
  EXPECT_NEAR(counts[static_cast<std::size_t>(Cohort::kCanary)], 5000, 350);
  EXPECT_NEAR(counts[static_cast<std::size_t>(Cohort::kBaseline)], 5000, 350);
}

TEST(Draw, RaisingTheWeightMovesNobodyAway) {
  for (int i = 0; i < 5000; ++i) {
    const std::string key = fmt::format("client-{}", i);
    Cohort before = Cohort::kNone;
    for (const std::uint32_t weight : {0u, 1u, 100u, 500u, 2500u, 5000u}) {
      const Cohort now = draw(weight, kSecret, key);
      if (before != Cohort::kNone) {
        EXPECT_EQ(now, before) << key << " at " << weight;
      }
      before = now;
    }
    EXPECT_NE(before, Cohort::kNone);  // at the largest weight everybody is on one side
  }
}

TEST(Failures, TellOnlyOnceTheWindowIsFull) {
  const plane::FailOver rule{.requests = 10, .failed_share = 0.5, .refused_share = 0.8};
  Failures failures(rule.requests);
  for (int i = 0; i < 9; ++i) failures.add(true, 1, 0);
  EXPECT_EQ(failures.reason(rule), "");
  failures.add(true, 1, 0);
  EXPECT_EQ(failures.reason(rule), "10 of the last 10 requests got no answer");
  for (int i = 0; i < 5; ++i) failures.add(false, 2, 0);
  EXPECT_NE(failures.reason(rule), "");  // exactly half
  failures.add(false, 2, 0);
  EXPECT_EQ(failures.reason(rule), "");
  for (int i = 0; i < 10; ++i) failures.add(false, 4, 4);
  EXPECT_EQ(failures.reason(rule), "40 of the last 40 rows were refused");
  EXPECT_EQ(failures.reason({.requests = 10, .failed_share = 0.5, .refused_share = 1}), "");
  failures.clear();
  EXPECT_EQ(failures.reason(rule), "");
}

TEST(Rates, AClientHasItsRateAndASecondsWorthAtOnce) {
  Rates rates(2, 10);
  std::int64_t now = 5'000'000'000;
  int taken = 0;
  for (int i = 0; i < 100; ++i) taken += rates.take(0, now) ? 1 : 0;
  EXPECT_EQ(taken, 10);
  EXPECT_TRUE(rates.take(1, now));  // another client's bucket is its own
  now += 500'000'000;
  taken = 0;
  for (int i = 0; i < 100; ++i) taken += rates.take(0, now) ? 1 : 0;
  EXPECT_EQ(taken, 5);
}

TEST(Tensor, HalfPrecision) {  // values of IEEE 754 binary16 and of bfloat16
  EXPECT_EQ(from_fp16(0x3c00), 1.0);
  EXPECT_EQ(from_fp16(0xc000), -2.0);
  EXPECT_EQ(from_fp16(0x7bff), 65504.0);
  EXPECT_EQ(from_fp16(0x0001), std::ldexp(1.0, -24));
  EXPECT_TRUE(std::isinf(from_fp16(0x7c00)));
  EXPECT_TRUE(std::isnan(from_fp16(0x7e00)));
  EXPECT_EQ(from_bf16(0x3f80), 1.0);
  EXPECT_EQ(from_bf16(0xc040), -3.0);
}

TEST(Tensor, RawBytesAreCountedExactly) {
  const std::vector<spec::Field> fields = {spec::Field{.name = "a", .type = expr::Type::kDouble},
                                           spec::Field{.name = "b", .type = expr::Type::kString}};
  const FieldNames names(fields);
  Rows rows;
  TensorRows tensors;
  tensors.begin(names, 4, rows);
  const std::int64_t shape[] = {2};
  const auto a = tensors.input("a", "FP32", shape);
  ASSERT_TRUE(a.ok());
  const float values[] = {1.5F, std::numeric_limits<float>::quiet_NaN()};
  const std::string_view bytes(reinterpret_cast<const char*>(values), sizeof values);
  ASSERT_TRUE(tensors.put_raw(*a, bytes).ok());
  EXPECT_EQ(rows.values[0].d, 1.5);
  EXPECT_TRUE(rows.values[2].is_null());  // NaN is a missing value
  EXPECT_FALSE(tensors.put_raw(*a, bytes.substr(1)).ok());
  const auto b = tensors.input("b", "BYTES", shape);
  ASSERT_TRUE(b.ok());
  using namespace std::string_view_literals;
  EXPECT_TRUE(tensors.put_raw(*b, "\2\0\0\0hi\0\0\0\0"sv).ok());
  EXPECT_EQ(rows.values[1].str(), "hi");
  EXPECT_EQ(rows.values[3].str(), "");
  for (const std::string_view wrong : {"\2\0\0\0hi"sv, "\2\0\0\0hi\0\0\0"sv,
                                       "\2\0\0\0hi\0\0\0\0x"sv, "\xff\xff\xff\xffhi\0\0\0\0"sv}) {
    EXPECT_EQ(tensors.put_raw(*b, wrong).error().id, "oip-data");
  }
  ASSERT_TRUE(tensors.put_raw(*b, "\2\0\0\0\xc3\x28\0\0\0\0"sv).ok());
  EXPECT_TRUE(rows.values[1].is_error()) << "no UTF-8: a value that refuses its row";
  EXPECT_EQ(tensors.input("b", "BYTES", shape).error().id, "request-repeated");
  tensors.begin(names, 4, rows);
  for (const auto& wrong :
       std::vector<std::vector<std::int64_t>>{{}, {0}, {-1}, {2, 2}, {1, 1, 1}, {INT64_MIN}}) {
    tensors.begin(names, 4, rows);
    EXPECT_EQ(tensors.input("a", "FP32", wrong).error().id, "oip-shape");
  }
  tensors.begin(names, 4, rows);
  const std::int64_t large[] = {INT64_MAX};
  EXPECT_EQ(tensors.input("a", "FP32", large).error().id, "request-too-many-rows");
  const auto unknown = tensors.input("c", "FP32", shape);
  ASSERT_TRUE(unknown.ok());
  EXPECT_TRUE(tensors.put(*unknown, 1, expr::Datum::integer(1)));
  EXPECT_FALSE(tensors.put_raw(*unknown, "\0\0\0\0"sv).ok())
      << "its bytes are counted all the same";
  EXPECT_TRUE(tensors.put_raw(*unknown, "\0\0\0\0\0\0\0\0"sv).ok());
  tensors.finish();
  ASSERT_EQ(rows.stray.size(), 2u);
  EXPECT_EQ(rows.stray_of(1)[0].rule, "unknown-field/c");
}

TEST(Tensors, AnIntegerFitsItsDatatypeOrIsRefused) {
  const std::vector<spec::Field> fields{{.name = "a"}};
  const FieldNames names(fields);
  TensorRows tensors;
  Rows rows;
  const std::int64_t shape[] = {1};
  const std::tuple<const char*, std::int64_t, std::int64_t> ranges[] = {
      {"INT8", -128, 127},
      {"UINT8", 0, 255},
      {"INT16", -32768, 32767},
      {"UINT16", 0, 65535},
      {"INT32", INT32_MIN, INT32_MAX},
      {"UINT32", 0, UINT32_MAX},
      {"BOOL", 0, 1}};
  for (const auto& [datatype, least, most] : ranges) {
    tensors.begin(names, 4, rows);
    const auto input = tensors.input("a", datatype, shape);
    for (const std::int64_t fits : {least, most})
      EXPECT_TRUE(tensors.put(*input, 0, expr::Datum::integer(fits))) << datatype << fits;
    for (const std::int64_t not_so : {least - 1, most + 1}) {
      EXPECT_FALSE(tensors.put(*input, 0, expr::Datum::integer(not_so))) << datatype << not_so;
      EXPECT_FALSE(tensors.put(*input, 0, expr::Datum::real(static_cast<double>(not_so))))
          << datatype << not_so;
    }
  }
  tensors.begin(names, 4, rows);
  const auto wide = tensors.input("a", "UINT64", shape);
  EXPECT_FALSE(tensors.put(*wide, 0, expr::Datum::integer(-1)));
  EXPECT_FALSE(tensors.put(*wide, 0, expr::Datum::real(-1e30)));
  EXPECT_TRUE(tensors.put(*wide, 0, expr::Datum::real(0x1p63)));
}

TEST(Canary, TakesItsShareBesideABaselineAndIsNamed) {
  World world;
  world.route.canary = {.bundle = world.bundles[2], .weight = 2500};
  world.route.shadow = world.bundles[1];
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  std::map<std::string, int> slots;
  for (int i = 0; i < 400; ++i) {
    const doc::Value answer = world.predict(http, kGoodRow);
    ++slots[answer.string_or("slot")];
    EXPECT_EQ(answer.string_or("bundle"),
              world.bundles[answer.string_or("slot") == "canary" ? 2 : 0].str());
  }
  EXPECT_EQ(slots.size(), 2u);
  std::array<int, 3> cohorts{};
  for (const auto& request : world.of<plane::RequestRecord>()) {
    ++cohorts[static_cast<std::size_t>(request.cohort)];
    EXPECT_EQ(request.cohort == Cohort::kCanary, request.slot == "canary");
    EXPECT_FALSE(request.rows[0].shadow_prediction.empty());
    EXPECT_FALSE(request.rows[0].standby_prediction.empty());
    EXPECT_EQ(request.rows[0].shadow_prediction,
              request.rows[0].standby_prediction);  // the same bundle
  }
  EXPECT_EQ(cohorts[1], slots["canary"]);
  EXPECT_GT(cohorts[1], 50);
  EXPECT_GT(cohorts[2], 50);
  EXPECT_EQ(
      http.post("/v2/models/trips/versions/shadow/infer",
                R"({"inputs":[{"name":"distance","shape":[1],"datatype":"INT64","data":[400]}]})")
          ->status,
      404);  // the shadow answers nobody
}

TEST(Canary, NoClientChoosesItByItsRequestIdsNorByRepeatingThem) {
  World world;
  world.route.canary = {.bundle = world.bundles[2], .weight = 2500};
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  const auto canary = [&](const std::string& id) {
    const auto reply =
        http.post("/v1/services/trips/predict",
                  fmt::format(R"({{"rows":[{}],"source":"s1","request_id":"{}"}})", kGoodRow, id));
    return World::json(reply).string_or("slot") == "canary";
  };
  std::vector<std::string> hit;
  for (const auto& id : chosen_keys(100)) {
    if (canary(id)) hit.push_back(id);
  }
  ASSERT_GT(hit.size(), 5u);
  // What was seen to hit is sent again: each time it is drawn anew.
  int again = 0;
  for (int i = 0; i < 300; ++i) again += canary(hit[0]) ? 1 : 0;
  // Binomial with p = .25, n = 300: mean 75, standard deviation 7.5.
  EXPECT_NEAR(again, 75, 5 * 7.5);
  int baseline = 0;
  for (const auto& request : world.of<plane::RequestRecord>()) {
    EXPECT_EQ(request.cohort == Cohort::kCanary, request.slot == "canary");
    baseline += request.request_id == hit[0] && request.cohort == Cohort::kBaseline ? 1 : 0;
  }
  EXPECT_NEAR(baseline, 75, 5 * 7.5);
}

TEST(Canary, AStickyKeyKeepsItsSideUnderTheSecretOfTheRun) {
  World world;
  world.route.canary = {.bundle = world.bundles[2], .weight = 500, .sticky = "header:x-user"};
  world.up();
  const auto publish = [&](std::string secret) {
    ++world.route.version;
    ASSERT_TRUE(make_dirs(world.dir + "/routes").ok());
    ASSERT_TRUE(
        plane::write_route_file(world.route_path(), {world.route, std::move(secret)}, world.key)
            .ok());
    world.wait_applied(world.route.version);
  };
  std::string secret;  // kSecret
  for (char c = 0; c < 16; ++c) secret += c;
  publish(secret);
  auto http = world.replayer();
  const auto keys = chosen_keys(300);
  const std::string body = fmt::format(R"({{"rows":[{}]}})", kGoodRow);
  const auto ask = [&] {  // the keys that the canary answered
    std::set<std::string> canary;
    for (const auto& key : keys) {
      const auto reply = http.send("POST", "/v1/services/trips/predict", body, {{"X-User", key}});
      if (World::json(reply).string_or("slot") == "canary") canary.insert(key);
    }
    return canary;
  };
  const auto first = ask();
  for (const auto& key : keys)
    EXPECT_EQ(draw(500, kSecret, key) == Cohort::kCanary, first.contains(key)) << key;
  EXPECT_LT(first.size(), 15u + 5 * 4);
  world.route.canary.weight = 2500;
  publish(secret);
  const auto raised = ask();
  EXPECT_TRUE(std::includes(raised.begin(), raised.end(), first.begin(), first.end()));
  // Another run.
  publish(std::string(16, 'a'));
  const auto other = ask();
  EXPECT_NE(other, raised);
  EXPECT_NEAR(static_cast<double>(other.size()), 75, 5 * 7.5);
  // A table of before has no secret: the data plane has one of its own.
  publish("");
  const auto own = ask();
  EXPECT_NEAR(static_cast<double>(own.size()), 75, 5 * 7.5);
  EXPECT_EQ(ask(), own);
}

TEST(Canary, IsChosenByAHeaderAndByASource) {
  World world;
  world.route.canary = {.bundle = world.bundles[2],
                        .weight = 0,
                        .sticky = "source",
                        .header = "x-canary",
                        .header_value = "yes"};
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  const std::string body = fmt::format(R"({{"rows":[{}]}})", kGoodRow);
  const auto slot = [&](const std::vector<std::pair<std::string, std::string>>& headers) {
    return World::json(http.send("POST", "/v1/services/trips/predict", body, headers))
        .string_or("slot");
  };
  EXPECT_EQ(slot({}), "primary");
  EXPECT_EQ(slot({{"X-Canary", "no"}}), "primary");
  EXPECT_EQ(slot({{"X-Canary", "yes"}}), "canary");
  EXPECT_EQ(world.of<plane::RequestRecord>().back().cohort, Cohort::kNone);  // chosen, not drawn
  world.route.canary.weight = 5000;
  world.publish_and_wait();
  std::map<std::string, std::set<std::string>> by_source;
  for (int i = 0; i < 40; ++i) {
    for (const char* source : {"s1", "s2"})
      by_source[source].insert(world.predict(http, kGoodRow, source).string_or("slot"));
  }
  for (const auto& [source, seen] : by_source) EXPECT_EQ(seen.size(), 1u) << source;
}

TEST(Canary, ABundleThatCannotBeLoadedGetsNoTraffic) {
  World world;
  world.route.canary = {.bundle = sha256("nowhere"), .weight = 5000};
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(world.predict(http, kGoodRow).string_or("slot"), "primary");
  const auto broken = score::fixture::pack(world.objects, 3.0, true);
  ASSERT_TRUE(broken.ok());
  world.route.canary.bundle = *broken;  // no parity, not ready
  world.publish_and_wait();
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(world.predict(http, kGoodRow).string_or("slot"), "primary");
}

TEST(FailOver, ByTheShareOfRefusedRowsAndBoundedInNumber) {
  World world;
  world.route.fail_over_allowed = true;
  world.route.fail_over = {.requests = 10, .failed_share = 1, .refused_share = 0.9, .most = 1};
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  for (int i = 0; i < 10; ++i) (void)world.predict(http, kFarRow, "s1", 422);
  EXPECT_EQ(world.predict(http, kGoodRow).string_or("slot"), "standby");
  // The standby refuses as well: no third change without a table.
  for (int i = 0; i < 30; ++i) (void)world.predict(http, kFarRow, "s1", 422);
  EXPECT_EQ(world.predict(http, kGoodRow).string_or("slot"), "standby");
  const auto acts = world.of<plane::ActRecord>();
  ASSERT_EQ(acts.size(), 1u);
  EXPECT_EQ(acts[0].act, "fail-over");
  EXPECT_EQ(acts[0].reason, "10 of the last 10 rows were refused");
  EXPECT_EQ(acts[0].target, world.bundles[0].str());
  // A table that does not know of the act, and changed the two for reasons of its own: what was
  // left does not come back.
  std::swap(world.route.primary, world.route.standby);
  world.publish_and_wait();
  EXPECT_EQ(world.predict(http, kGoodRow).string_or("bundle"), world.bundles[1].str());
  // The table that settles it.
  world.route.acknowledged = {acts[0].id};
  world.publish_and_wait();
  const doc::Value answer = world.predict(http, kGoodRow);
  EXPECT_EQ(answer.string_or("slot"), "primary");
  EXPECT_EQ(answer.string_or("bundle"), world.bundles[1].str());
}

TEST(FailOver, OneAccountAloneMovesNobodyElse) {
  World world;
  world.route.fail_over_allowed = true;
  world.route.fail_over = {.requests = 10, .failed_share = 1, .refused_share = 0.9, .most = 1};
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  auto app = world.client("app-secret-0000000002");
  const auto ask = [&](const char* row) {
    return app.post("/v1/services/trips/predict", fmt::format(R"({{"rows":[{}]}})", row))->status;
  };
  ASSERT_EQ(ask(kGoodRow), 200);
  for (int i = 0; i < 60; ++i) (void)world.predict(http, kFarRow, "s1", 422);
  EXPECT_TRUE(world.of<plane::ActRecord>().empty()) << "the other account sees no fault";
  EXPECT_EQ(ask(kGoodRow), 200);
  // Its own newest requests show it too.
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask(kFarRow), 422);
  for (int i = 0; i < 10; ++i) (void)world.predict(http, kFarRow, "s1", 422);
  ASSERT_EQ(world.of<plane::ActRecord>().size(), 1u);
  EXPECT_EQ(world.predict(http, kGoodRow).string_or("slot"), "standby");
}

TEST(Witnesses, AnAccountIsThereForAMinuteAfterItsLastRequest) {
  const plane::FailOver rule{.requests = 10, .failed_share = 0.5, .refused_share = 1, .most = 1};
  Witnesses witnesses;
  EXPECT_TRUE(witnesses.agree(rule, 0)) << "nobody says otherwise";
  witnesses.add("b", 0, {false, 1, 0});
  for (std::int64_t i = 1; i < 100; ++i) witnesses.add("a", i, {true, 1, 0});
  EXPECT_FALSE(witnesses.agree(rule, Witnesses::kThere));
  EXPECT_TRUE(witnesses.agree(rule, Witnesses::kThere + 1)) << "`b` is gone, `a` is the service's";
  witnesses.add("b", Witnesses::kThere, {true, 1, 0});
  EXPECT_TRUE(witnesses.agree(rule, Witnesses::kThere)) << "one of its two, and half is enough";
  // Of very many accounts the one heard of longest ago makes room.
  for (std::size_t i = 0; i < 2 * Witnesses::kAccounts; ++i)
    witnesses.add(fmt::format("c{}", i), Witnesses::kThere + 2, {false, 1, 0});
  EXPECT_FALSE(witnesses.agree(rule, Witnesses::kThere + 2));
}

TEST(Canary, IsTakenOutByTheDataPlaneWhenItFails) {
  World world;
  world.route.canary = {.bundle = world.bundles[2], .weight = 5000};
  world.route.fail_over = {.requests = 10, .failed_share = 1, .refused_share = 0.9, .most = 1};
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  for (int i = 0; i < 100; ++i) (void)world.predict(http, kFarRow, "s1", 422);
  for (int i = 0; i < 40; ++i)
    EXPECT_EQ(world.predict(http, kGoodRow).string_or("slot"), "primary");
  const auto acts = world.of<plane::ActRecord>();
  ASSERT_EQ(acts.size(), 1u);
  EXPECT_EQ(acts[0].act, "canary-abort");
  // It stands over a restart, and until a table settles it.
  world.down();
  world.up();
  world.wait_applied(world.route.version);
  auto again = world.replayer();
  for (int i = 0; i < 40; ++i)
    EXPECT_EQ(world.predict(again, kGoodRow).string_or("slot"), "primary");
  world.route.acknowledged = {acts[0].id};
  world.publish_and_wait();
  std::set<std::string> seen;
  for (int i = 0; i < 40; ++i) seen.insert(world.predict(again, kGoodRow).string_or("slot"));
  EXPECT_EQ(seen.size(), 2u);
}

TEST(Canary, OneAccountAloneDoesNotEndIt) {
  World world;
  world.route.canary = {.bundle = world.bundles[2], .weight = 5000};
  world.route.fail_over = {.requests = 10, .failed_share = 1, .refused_share = 0.9, .most = 1};
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  auto app = world.client("app-secret-0000000002");
  const auto ask = [&](const char* row) {
    return World::json(
               app.post("/v1/services/trips/predict", fmt::format(R"({{"rows":[{}]}})", row)))
        .string_or("slot");
  };
  // Each account has met the canary.
  for (int met = 0; met < 10;) met += ask(kGoodRow) == "canary" ? 1 : 0;
  for (int i = 0; i < 200; ++i) (void)world.predict(http, kFarRow, "s1", 422);
  EXPECT_TRUE(world.of<plane::ActRecord>().empty()) << "the other account sees no fault";
  // Once its newest requests show it too, it is the canary's.
  for (int i = 0; i < 40; ++i) {
    (void)ask(kFarRow);
    (void)world.predict(http, kFarRow, "s1", 422);
  }
  ASSERT_EQ(world.of<plane::ActRecord>().size(), 1u);
  EXPECT_EQ(world.of<plane::ActRecord>()[0].act, "canary-abort");
}

TEST(Limits, AnAccountPastItsRateIsToldToWait) {
  World world;
  world.limits.requests_per_second = 5;
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  std::map<int, int> statuses;
  for (int i = 0; i < 40; ++i)
    ++statuses[http.post("/v1/services/trips/predict", fmt::format(R"({{"rows":[{}]}})", kGoodRow))
                   ->status];
  EXPECT_GE(statuses[200], 5);
  EXPECT_GT(statuses[429], 0);
  EXPECT_EQ(statuses.size(), 2u);
}

TEST(Oip, BinaryTensorsBothWays) {
  World world;
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  const auto length = [](std::string_view text) {
    const auto n = static_cast<std::uint32_t>(text.size());
    return std::string(reinterpret_cast<const char*>(&n), 4) + std::string(text);
  };
  const std::string date = length("2001-04-10T05:00:00Z");
  const std::int64_t distance = 400;
  const std::string raw =
      date + length("LAX") + std::string(reinterpret_cast<const char*>(&distance), 8);
  const auto ask = [&](std::string_view parameters, std::size_t dates) {
    const std::string json = fmt::format(
        R"({{"inputs":[{{"name":"date","shape":[1],"datatype":"BYTES",
      "parameters":{{"binary_data_size":{}}}}},
      {{"name":"origin","shape":[1],"datatype":"BYTES","parameters":{{"binary_data_size":7}}}},
      {{"name":"distance","shape":[1],"datatype":"INT64",
      "parameters":{{"binary_data_size":8}}}}]{}}})",
        dates, parameters);
    return http.send("POST", "/v2/models/trips/infer", json + raw,
                     {{"Inference-Header-Content-Length", std::to_string(json.size())}});
  };
  const auto as_json = ask("", date.size());
  ASSERT_EQ(as_json->status, 200) << as_json->body;
  const double wanted =
      World::json(as_json).find("outputs")->as_array()[0].find("data")->as_array()[0].as_double();
  const auto binary = ask(R"(,"parameters":{"binary_data_output":true})", date.size());
  ASSERT_EQ(binary->status, 200);
  float got = 0;
  std::memcpy(&got, binary->body.data() + binary->body.size() - 8,
              4);  // then the empty `validation`: four zero bytes
  EXPECT_EQ(got, static_cast<float>(wanted));
  const auto only =
      ask(R"(,"outputs":[{"name":"probability","parameters":{"binary_data":true}}])", date.size());
  std::memcpy(&got, only->body.data() + only->body.size() - 4, 4);
  EXPECT_EQ(got, static_cast<float>(wanted));
  EXPECT_EQ(ask("", date.size() - 1)->status, 400);
  EXPECT_EQ(ask("", date.size() + 100)->status, 400);
  EXPECT_EQ(
      http.send("POST", "/v2/models/trips/infer", "{}", {{"Inference-Header-Content-Length", "3"}})
          ->status,
      400);
  EXPECT_EQ(
      http.send("POST", "/v2/models/trips/infer", "{}", {{"Inference-Header-Content-Length", "-1"}})
          ->status,
      400);
}

TEST(Oip, ContributionsSumToTheMargin) {
  World world;
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  const auto plain = World::json(http.post(
      "/v1/services/trips/predict", fmt::format(R"({{"rows":[{}],"explain":true}})", kGoodRow)));
  const auto& prediction = plain.find("predictions")->as_array()[0];
  double sum = 0;
  for (const auto& [name, value] : prediction.find("contributions")->as_object())
    sum += value.as_double();
  EXPECT_EQ(prediction.find("contributions")->as_object().size(),
            4u);  // three features and the bias
  EXPECT_NEAR(1 / (1 + std::exp(-sum)), prediction.find("probability")->as_double(), 1e-6);
  const auto oip =
      World::json(http.post("/v2/models/trips/infer", R"({"parameters":{"explain":true},"inputs":[
    {"name":"date","shape":[2],"datatype":"BYTES","data":["2001-04-10T05:00:00Z",
    "2001-04-10T05:00:00Z"]},
    {"name":"origin","shape":[2],"datatype":"BYTES","data":["LAX","LAX"]},{"name":"distance",
    "shape":[2],"datatype":"INT64","data":[400,644]}]})"));
  const auto& output = oip.find("outputs")->as_array()[2];
  EXPECT_EQ(output.string_or("name"), "contributions");
  ASSERT_EQ(output.find("data")->size(), 8u);
  EXPECT_TRUE(output.find("data")->as_array()[0].is_number());
  EXPECT_TRUE(output.find("data")->as_array()[4].is_null());  // the second row is refused
}

TEST(Oip, RepositoryAndStatistics) {
  World world;
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  (void)world.predict(http, kGoodRow);
  const auto index = World::json(http.post("/v2/repository/index", ""));
  ASSERT_EQ(index.size(), 2u);
  EXPECT_EQ(index.as_array()[0].string_or("state"), "READY");
  EXPECT_EQ(http.post("/v2/repository/models/trips/load", "{}")->status, 200);
  EXPECT_EQ(
      http.post("/v2/repository/models/trips/load", R"({"parameters":{"config":"{}"}})")->status,
      400);
  EXPECT_EQ(http.post("/v2/repository/models/trips/unload", "{}")->status, 403);
  EXPECT_EQ(http.get("/v2/repository/index")->status, 405);
  const auto statistics = World::json(http.get("/v2/models/trips/stats"));
  EXPECT_EQ(statistics.find("model_stats")->as_array()[0].int_or("inference_count"), 1);
  EXPECT_EQ(http.get("/v2/models/stats")->status, 200);
  EXPECT_EQ(World::json(http.get("/v2/models/trips/config")).int_or("max_batch_size"), 8);
}

TEST(Slots, OneWhoseBundleIsMissingJoinsWhenItIsThere) {
  World world;
  MemoryObjects elsewhere;
  world.route.standby = *score::fixture::pack(elsewhere, 2.5);
  world.up();
  world.publish_and_wait();
  auto http = world.client("app-secret-0000000002");
  EXPECT_EQ(
      http.post("/v1/services/trips/predict", fmt::format(R"({{"rows":[{}]}})", kGoodRow))->status,
      200)
      << "the primary serves";
  EXPECT_NE(http.get("/v2/models/trips/versions/standby/ready")->status, 200);
  for (const auto& [digest, bytes] : elsewhere.all()) ASSERT_TRUE(world.objects.put(bytes).ok());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (http.get("/v2/models/trips/versions/standby/ready")->status != 200)
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "it was not tried again";
  EXPECT_EQ(world.of<plane::AppliedRecord>().size(), 2u);
}

}  // namespace
}  // namespace heddle::serve
