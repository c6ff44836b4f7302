// A data plane without a control plane: what the benches of the serving plane measure
// (bench/harness/plane.py drives it).
//   http_plane fit DIR                    makes flights in DIR/rows.csv, trains DIR/model.json (150
//   trees) and DIR/model500.json on them, and
//                                         writes sample requests to DIR/bodies.json with the
//                                         features of their rows
//   http_plane pack DIR NAME MODEL COUNT  packs COUNT bundles of DIR/MODEL that differ in
//   calibration: DIR/NAME.bundles.json has each one's digest and
//                                         the probabilities of the sample rows
//   http_plane serve DIR PORT TOKEN       serves what the route table in DIR/state says, until
//   SIGTERM http_plane publish DIR                the control plane's pen: reads lines from stdin,
//   answers each route table with a line
//                                         `VERSION MONOTONIC_NS`, taken before it is put in its
//                                         place
//       route PRIMARY STANDBY             one table; `-` for no standby
//       swap START EVERY COUNT            primary and standby change places COUNT times, from START
//       on, each EVERY ns (monotonic) cycle START EVERY COUNT D1,D2,... the standby becomes D1, D2,
//       ... in turn go                                does what the swap and cycle lines since the
//       last one ask for. Their tables are written
//                                         and signed at the line, and only moved into their place
//                                         when it is time: the pen has the client's core, which
//                                         must not feel it
#include <csignal>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <sstream>
#include <thread>

#include <fmt/format.h>

#include "adapters/objects/layout.hpp"
#include "base/clock.hpp"
#include "base/file.hpp"
#include "doc/json.hpp"
#include "flights_fixture.hpp"
#include "plane/route.hpp"
#include "serve/serve.hpp"

namespace heddle {
namespace {

constexpr std::int64_t kRows = 60'000;
constexpr std::int64_t kSamples = 64;

std::atomic<bool> g_stop{false};
const std::atomic<bool> g_no_successor{false};

Result<void> fit(const std::string& dir) {
  HEDDLE_ASSIGN_OR_RETURN(table::Table rows, bench::make_rows(kRows));
  HEDDLE_ASSIGN_OR_RETURN(const auto fitted, bench::fit(std::move(rows)));
  HEDDLE_ASSIGN_OR_RETURN(const auto matrix, bench::features_of(fitted));
  if (matrix.rows != kRows)
    return Error{ErrorKind::kInternal, "bench-rows",
                 "the contract refuses rows that were made to keep it",
                 "look at bench/flights_fixture.cpp"};
  for (const auto& [name, trees] :
       {std::pair{"/model.json", 150}, std::pair{"/model500.json", 500}}) {
    HEDDLE_ASSIGN_OR_RETURN(const std::string model, bench::train(fitted, trees, 2));
    HEDDLE_TRY(write_file_atomic(dir + name, model));
  }
  const auto column = [&](const char* name) { return fitted.rows.find(name); };
  std::string csv = "date,distance,origin,destination,late\n";
  for (std::size_t i = 0; i < static_cast<std::size_t>(kRows); ++i) {
    const auto airport = [&](const char* name) {
      return column(name)->dictionary->views()[static_cast<std::size_t>(column(name)->codes[i])];
    };
    fmt::format_to(std::back_inserter(csv), "{},{},{},{},{}\n",
                   format_time(column("date")->ints[i]).substr(0, 19), column("distance")->ints[i],
                   airport("origin"), airport("destination"), column("late")->ints[i]);
  }
  HEDDLE_TRY(write_file_atomic(dir + "/rows.csv", csv));
  HEDDLE_ASSIGN_OR_RETURN(const auto bodies, bench::request_bodies(fitted.rows.slice(0, kSamples)));
  doc::Value texts = doc::Value::array(), features = doc::Value::array();
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    texts.push(bodies[i]);
    doc::Value row = doc::Value::array();
    for (std::size_t c = 0; c < static_cast<std::size_t>(matrix.columns); ++c)
      row.push(
          static_cast<double>(matrix.values[i * static_cast<std::size_t>(matrix.columns) + c]));
    features.push(std::move(row));
  }
  return write_file_atomic(dir + "/bodies.json",
                           doc::to_json(doc::Value::object(
                               {{"bodies", std::move(texts)}, {"features", std::move(features)}})));
}

Result<void> pack(const std::string& dir, const std::string& name, const std::string& model_file,
                  int count) {
  HEDDLE_ASSIGN_OR_RETURN(table::Table rows, bench::make_rows(kRows));
  HEDDLE_ASSIGN_OR_RETURN(const auto fitted, bench::fit(std::move(rows)));
  HEDDLE_ASSIGN_OR_RETURN(const std::string model, read_file(dir + "/" + model_file));
  HEDDLE_ASSIGN_OR_RETURN(const auto objects, adapters::open_layout(dir + "/objects"));
  doc::Value bundles = doc::Value::array();
  for (int i = 0; i < count; ++i) {
    const double intercept = 0.25 * i;
    HEDDLE_ASSIGN_OR_RETURN(const Digest digest, bench::pack(*objects, fitted, model, intercept));
    HEDDLE_ASSIGN_OR_RETURN(
        const auto scores,
        bench::probabilities(fitted, model, intercept, fitted.rows.slice(0, kSamples)));
    doc::Value values = doc::Value::array();
    for (const float p : scores) values.push(static_cast<double>(p));
    bundles.push(
        doc::Value::object({{"digest", digest.str()}, {"probabilities", std::move(values)}}));
  }
  return write_file_atomic(dir + "/" + name + ".bundles.json", doc::to_json(bundles));
}

Result<Ed25519Key> control_key(const std::string& dir) {
  HEDDLE_TRY(make_dirs(dir + "/state/routes"));
  return Ed25519Key::load_or_create(dir + "/control.key");
}

/// A whole number from the environment.
int setting(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoi(text);
}

Result<void> serve(const std::string& dir, int port, const std::string& token) {
  HEDDLE_ASSIGN_OR_RETURN(const auto key, control_key(dir));
  HEDDLE_ASSIGN_OR_RETURN(const auto objects, adapters::open_layout(dir + "/objects"));
  serve::Options options;
  options.heddle_dir = dir + "/state";
  options.service.identity.name = "flights";
  options.service.port = port;
  options.service.grpc_port = setting("BENCH_GRPC_PORT", -1);
  options.service.limits.queue_ms =
      setting("BENCH_QUEUE_MS", static_cast<int>(options.service.limits.queue_ms));
  options.objects = objects.get();
  options.control_key = key.public_key;
  options.tokens = {{"bench", token, {"predict", "read"}}};
  HEDDLE_TRY(serve::run(std::move(options), g_stop, g_no_successor));
  return {};
}

class Publisher {
 public:
  static Result<Publisher> open(const std::string& dir) {
    HEDDLE_ASSIGN_OR_RETURN(const auto key, control_key(dir));
    Publisher publisher;
    publisher.path_ = dir + "/state/routes/flights.json";
    publisher.folder_ = dir + "/state/prepared";
    HEDDLE_TRY(make_dirs(publisher.folder_));
    publisher.key_ = key;
    publisher.route_.service = "flights";
    publisher.route_.decision = "ledger/0";
    if (const auto before = plane::read_route(publisher.path_, key.public_key); before.ok())
      publisher.route_ = *before;
    return publisher;
  }

  Result<void> obey(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    if (verb == "go") return move_prepared();
    if (verb == "route") {
      std::string primary, standby;
      words >> primary >> standby;
      HEDDLE_ASSIGN_OR_RETURN(route_.primary, Digest::parse(primary));
      route_.standby = {};
      if (standby != "-") {
        HEDDLE_ASSIGN_OR_RETURN(route_.standby, Digest::parse(standby));
      }
      HEDDLE_TRY(prepare(system_clock().mono_ns()));
      return move_prepared();
    }
    std::int64_t start = 0, every = 0, count = 0;
    std::string list;
    words >> start >> every >> count >> list;
    std::vector<Digest> digests;
    for (std::istringstream items(list); std::getline(items, list, ',');) {
      HEDDLE_ASSIGN_OR_RETURN(const Digest digest, Digest::parse(list));
      digests.push_back(digest);
    }
    if (!(verb == "swap" || (verb == "cycle" && !digests.empty())) || count < 1)
      return Error{ErrorKind::kInvalid, "usage", "unknown line: " + line,
                   "see the head of http_plane.cpp"};
    for (std::int64_t i = 0; i < count; ++i) {
      if (verb == "swap")
        std::swap(route_.primary, route_.standby);
      else
        route_.standby = digests[next_++ % digests.size()];
      HEDDLE_TRY(prepare(start + i * every));
    }
    return {};
  }

 private:
  struct Prepared {
    std::string path;
    std::uint64_t version;
    std::int64_t at_ns;
  };

  Result<void> prepare(std::int64_t at_ns) {
    ++route_.version;
    prepared_.push_back(
        {fmt::format("{}/{}.json", folder_, route_.version), route_.version, at_ns});
    return plane::write_route(prepared_.back().path, route_, key_);
  }

  Result<void> move_prepared() {
    std::string moved;
    for (const Prepared& table : prepared_) {
      std::this_thread::sleep_for(std::chrono::nanoseconds(table.at_ns - system_clock().mono_ns()));
      if (g_stop) return {};
      fmt::format_to(std::back_inserter(moved), "{} {}\n", table.version, system_clock().mono_ns());
      std::filesystem::rename(table.path, path_);
    }
    prepared_.clear();
    fmt::print("{}", moved);
    std::fflush(stdout);
    return {};
  }

  std::string path_;
  std::string folder_;
  Ed25519Key key_{};
  plane::RouteTable route_{};
  std::vector<Prepared> prepared_{};
  std::size_t next_ = 0;
};

Result<void> publish(const std::string& dir) {
  HEDDLE_ASSIGN_OR_RETURN(auto publisher, Publisher::open(dir));
  char line[65536];
  while (!g_stop && std::fgets(line, sizeof line, stdin) != nullptr)
    HEDDLE_TRY(publisher.obey(line));
  return {};
}

int run(int argc, char** argv) {
  const std::string what = argc > 2 ? argv[1] : "";
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { g_stop = true; });
  Result<void> done = what == "fit" && argc == 3 ? fit(argv[2])
                      : what == "pack" && argc == 6
                          ? pack(argv[2], argv[3], argv[4], std::atoi(argv[5]))
                      : what == "serve" && argc == 5 ? serve(argv[2], std::atoi(argv[3]), argv[4])
                      : what == "publish" && argc == 3
                          ? publish(argv[2])
                          : Result<void>(Error{ErrorKind::kInvalid, "usage",
                                               "http_plane fit|pack|serve|publish DIR ...",
                                               "see the head of http_plane.cpp"});
  if (!done.ok()) fmt::print(stderr, "{}\n", done.error().str());
  return done.ok() ? 0 : 1;
}

}  // namespace
}  // namespace heddle

int main(int argc, char** argv) { return heddle::run(argc, argv); }
