#include <CLI/CLI.hpp>

#include <algorithm>

#include "base/encoding.hpp"
#include "base/file.hpp"
#include "bundle/bundle.hpp"
#include "cli/commands.hpp"
#include "cli/session.hpp"
#include "contract/contract.hpp"
#include "contract/written.hpp"
#include "control/applied.hpp"
#include "doc/items.hpp"
#include "doc/json.hpp"
#include "loadgen/knee.hpp"
#include "loadgen/report.hpp"
#include "net/client.hpp"
#include "net/http.hpp"
#include "plane/route.hpp"
#include "score/kept_rows.hpp"
#include "spec/load.hpp"

namespace heddle::cli {
namespace {

struct BenchArguments {
  std::string url;
  std::string service;
  std::string body_file;
  std::string token;
  std::string token_file;
  std::string method;
  std::vector<std::string> headers;
  std::string duration = "10s";
  std::string warmup = "2s";
  std::string timeout = "10s";
  std::string p99 = "10ms";
  std::string html;
  double rate = 1000;
  std::uint64_t seed = 1;
  std::size_t connections = 8;
  std::size_t pipeline = 1;
  bool poisson = false;
  bool closed = false;
  bool ramp = false;
  bool allow_remote = false;
};

Result<std::int64_t> duration_option(std::string_view option, const std::string& text) {
  const auto micros = parse_duration(text);
  if (!micros)
    return Error{ErrorKind::kInvalid, "duration-malformed",
                 fmt::format("`--{} {}` is not a duration", option, text),
                 "for example 10s or 250ms"};
  // The generator counts nanoseconds.
  return *micros * 1'000;
}

Result<std::string> first_line(const std::string& path) {
  HEDDLE_ASSIGN_OR_RETURN(auto text, read_file(path));
  // Editors end a file with a newline, which is no part of a token.
  text.erase(std::min(text.find('\n'), text.size()));
  return text;
}

/// The reference rows of a bundle as a client writes them; those without margins are not for
/// sending.
Result<score::Reference> sample_of(const bundle::Bundle& bundle) {
  HEDDLE_ASSIGN_OR_RETURN(const auto proof, bundle.json(bundle::kReference));
  HEDDLE_ASSIGN_OR_RETURN(auto out, score::reference_schema().parse(proof));
  HEDDLE_ASSIGN_OR_RETURN(const auto value, bundle.json(bundle::kContract));
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, contract::Contract::from_value(value));
  if (contract.text_fields().empty()) return out;
  // They are kept as values; a contract with layouts of its own reads texts.
  const auto fields = contract.request_fields();
  HEDDLE_ASSIGN_OR_RETURN(const auto rows,
                          score::table_of(out.kept, fields, score::reference_schema()));
  HEDDLE_ASSIGN_OR_RETURN(const auto written, contract::written_rows(fields, rows));
  HEDDLE_ASSIGN_OR_RETURN(out.kept, score::keep_rows(fields, written.rows));
  // A row that no text can say is not sent, like one that the contract refuses.
  for (std::size_t row = 0; row < written.unwritable.size(); ++row) {
    if (written.unwritable[row] != 0) out.margins[row].reset();
  }
  return out;
}

/// Where a service of the project answers, the token of an account that may ask it, and one-row
/// requests of the reference rows of the bundle its route table names as primary: rows as they
/// arrive, those the contract refuses left out.
Result<void> aim_at_service(const Invocation& invocation, const std::string& name,
                            loadgen::Target& target, std::string& token) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, find_project(invocation.project));
  const control::Home home(root);
  HEDDLE_ASSIGN_OR_RETURN(const auto project, control::applied_project(home, *invocation.wiring));
  const auto service = project.services.find(name);
  if (service == project.services.end())
    return Error{ErrorKind::kNotFound, "service-unknown", fmt::format("no service `{}`", name),
                 "see `heddle status`"};
  target.host = service->second.host;
  target.port = service->second.port;
  target.path = fmt::format("/v1/services/{}/predict", name);
  for (const auto& account : project.service_accounts) {
    // The first account that may predict, unless a token was given.
    if (!token.empty() || std::find(account.permissions.begin(), account.permissions.end(),
                                    "predict") == account.permissions.end())
      continue;
    HEDDLE_ASSIGN_OR_RETURN(token, first_line(home.token(account.name)));
  }
  // A body that was given is sent as it is, and needs no bundle.
  if (!target.bodies.empty()) return {};
  HEDDLE_ASSIGN_OR_RETURN(const auto key_text, first_line(home.control_public_key()));
  HEDDLE_ASSIGN_OR_RETURN(const auto key_bytes, hex_decode(key_text));
  Ed25519Public key{};
  std::copy_n(key_bytes.begin(), std::min<std::size_t>(key_bytes.size(), key.size()), key.begin());
  HEDDLE_ASSIGN_OR_RETURN(const auto route, plane::read_route(home.route(name), key));
  if (route.primary.empty())
    return Error{ErrorKind::kUnavailable, "service-not-ready",
                 fmt::format("service `{}` has no released bundle to take sample rows from", name),
                 "release one, or name a body: `--body FILE`"};
  HEDDLE_ASSIGN_OR_RETURN(const auto objects, invocation.wiring->open_objects(home.objects()));
  HEDDLE_ASSIGN_OR_RETURN(const auto opened, bundle::open(*objects, route.primary));
  HEDDLE_ASSIGN_OR_RETURN(const auto sample, sample_of(opened));
  const auto& [kept, margins] = sample;
  for (std::size_t r = 0; r < kept.rows.size(); ++r) {
    if (!margins[r]) continue;  // the contract refuses it
    doc::Value object = doc::Value::object();
    for (std::size_t f = 0; f < kept.fields.size(); ++f) {
      const auto& value = kept.rows[r].as_array()[f];
      // A missing value is a field that a client does not send.
      if (!value.is_null()) object.set(kept.fields[f], value);
    }
    target.bodies.push_back(
        doc::to_json(doc::Value::object({{"rows", doc::Value::array({std::move(object)})}})));
  }
  return {};
}

Result<loadgen::Options> options_of(const Invocation& invocation, const BenchArguments& a) {
  loadgen::Options o;
  o.connections = a.connections;
  o.pipeline = a.pipeline;
  o.closed = a.closed;
  o.rate = a.rate;
  o.arrival = a.poisson ? loadgen::Arrival::kPoisson : loadgen::Arrival::kConstant;
  o.seed = a.seed;
  HEDDLE_ASSIGN_OR_RETURN(o.duration_ns, duration_option("duration", a.duration));
  HEDDLE_ASSIGN_OR_RETURN(o.warmup_ns, duration_option("warmup", a.warmup));
  HEDDLE_ASSIGN_OR_RETURN(o.timeout_ns, duration_option("timeout", a.timeout));
  loadgen::Target& target = o.target;
  target.allow_remote = a.allow_remote;
  std::string token = a.token;
  // The file's token counts before `--token`.
  if (!a.token_file.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(token, first_line(a.token_file));
  }
  if (!a.body_file.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(auto body, read_file(a.body_file));
    target.bodies.push_back(std::move(body));
  }
  if (!a.service.empty()) HEDDLE_TRY(aim_at_service(invocation, a.service, target, token));
  if (!a.url.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(const auto url, net::parse_url(a.url));
    if (url.tls)
      return Error{ErrorKind::kInvalid, "net-url", "the generator does not speak https",
                   "offer the load behind TLS, to http://"};
    target.host = url.host;
    target.port = url.port;
    // A URL without a path only says where the service is.
    if (url.target != "/" || a.service.empty()) target.path = url.target;
  } else if (a.service.empty()) {
    return Error{ErrorKind::kInvalid, "bench-no-target", "neither a URL nor a service is named",
                 "for example `heddle dev bench --service NAME`"};
  }
  target.method = !a.method.empty() ? a.method : target.bodies.empty() ? "GET" : "POST";
  bool typed = false;
  for (const std::string& header : a.headers) {
    const std::size_t colon = header.find(':');
    if (colon == std::string::npos || colon == 0)
      return Error{ErrorKind::kInvalid, "bench-header", fmt::format("`{}` is not a header", header),
                   "write `Name: value`"};
    std::size_t value = colon + 1;
    while (value < header.size() && header[value] == ' ') ++value;
    target.headers.emplace_back(header.substr(0, colon), header.substr(value));
    typed = typed || net::same_token(target.headers.back().first, "content-type");
  }
  // Servers refuse JSON that is not called so.
  if (!target.bodies.empty() && !typed)
    target.headers.emplace_back("Content-Type", "application/json");
  if (!token.empty()) target.headers.emplace_back("Authorization", "Bearer " + token);
  return o;
}

Result<int> bench(const Invocation& invocation, const Console& console, const BenchArguments& a) {
  HEDDLE_ASSIGN_OR_RETURN(const auto options, options_of(invocation, a));
  std::string page;
  std::uint64_t failed = 0;
  if (a.ramp) {
    HEDDLE_ASSIGN_OR_RETURN(const auto limit, duration_option("p99", a.p99));
    HEDDLE_ASSIGN_OR_RETURN(
        const auto knee, loadgen::find_knee(options, limit, [&](const loadgen::Step& step) {
          console.message(fmt::format(
              "  {:.0f}/s  served {:.0f}/s  p99 {}  {}", step.rate, step.outcome.served_rate(),
              loadgen::format_ns(static_cast<double>(step.outcome.served_ns.quantile(0.99))),
              step.why));
        }));
    if (console.json())
      console.document(loadgen::to_value(options, knee));
    else
      console.data(loadgen::to_text(options, knee));
    if (!a.html.empty()) page = loadgen::to_page(options, knee);
  } else {
    HEDDLE_ASSIGN_OR_RETURN(const auto outcome, loadgen::run(options));
    failed = outcome.failed();
    if (console.json())
      console.document(loadgen::to_value(options, outcome));
    else
      console.data(loadgen::to_text(options, outcome));
    if (!a.html.empty()) page = loadgen::to_page(options, outcome);
  }
  if (!page.empty()) {
    HEDDLE_TRY(write_file_atomic(a.html, page));
    console.message(fmt::format("wrote {}", a.html));
  }
  // A ramp goes on until a step fails, so that only a plain run is judged by that.
  return failed == 0 ? 0 : error_kind_info(ErrorKind::kUnavailable).exit_code;
}

}  // namespace

void add_bench_command(CLI::App& dev, Invocation& invocation) {
  auto a = std::make_shared<BenchArguments>();
  auto* command = dev.add_subcommand(
      "bench",
      "offer load to an HTTP endpoint at a fixed schedule, and show what it does to latency");
  command->add_option("url", a->url, "http://HOST[:PORT]/PATH; with --service its own by default");
  command->add_option("--service", a->service,
                      "a service of the project: sends the sample rows of its primary with a token "
                      "that may predict");
  command->add_option("--body", a->body_file, "file sent as the body of every request");
  command->add_option("--method", a->method, "default: POST with a body, else GET");
  command->add_option("--header", a->headers, "a further header, `Name: value`")
      ->allow_extra_args(false);
  command->add_option("--token", a->token,
                      "bearer token; other users of this machine may see it: prefer --token-file");
  command->add_option("--token-file", a->token_file, "file whose first line is the bearer token");
  command->add_option("--rate", a->rate, "requests per second of the open loop");
  command->add_flag("--poisson", a->poisson, "Poisson arrivals instead of a constant rate");
  command->add_option("--seed", a->seed, "seed of the Poisson arrivals");
  command->add_option("--connections", a->connections, "keep-alive connections");
  command->add_option("--pipeline", a->pipeline, "max in-flight requests per connection");
  command->add_option("--duration", a->duration,
                      "how long to measure; with `--ramp`, how long each step takes");
  command->add_option("--warmup", a->warmup,
                      "how long to send before measuring; these requests are not counted");
  command->add_option("--timeout", a->timeout, "request timeout, counted from its scheduled start");
  command->add_flag("--closed", a->closed,
                    "closed loop: each connection sends its next request when it has its answer; "
                    "measures capacity, "
                    "hides waiting");
  command
      ->add_flag(
          "--ramp", a->ramp,
          "measure capacity in a closed loop, then raise the rate: finds the highest that holds")
      ->excludes("--closed")
      ->excludes("--rate");
  command->add_option("--p99", a->p99,
                      "a step of a ramp holds when its 99th percentile is at most this");
  command->add_option("--html", a->html, "write the result to this file, as a page with plots");
  command->add_flag("--allow-remote", a->allow_remote,
                    "allow a remote target (only servers you own)");
  command->callback([&invocation, a] {
    invocation.run = [a, &invocation](const Console& console) {
      const auto done = bench(invocation, console, *a);
      return done.ok() ? *done : console.fail(done.error());
    };
  });
}

}  // namespace heddle::cli
