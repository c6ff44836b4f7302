#include <CLI/CLI.hpp>

#include <fmt/ranges.h>

#include "cli/commands.hpp"
#include "cli/rows_input.hpp"
#include "cli/session.hpp"
#include "contract/contract.hpp"
#include "control/applied.hpp"
#include "control/home.hpp"
#include "control/traffic.hpp"
#include "doc/json.hpp"
#include "doc/schema.hpp"
#include "spec/load.hpp"
#include "upstream/joiner.hpp"
#include "upstream/skew.hpp"

namespace heddle::cli {
namespace {

constexpr std::size_t kMostExamples = 5;

struct SkewArguments {
  std::string service;
  std::string from;
  std::string to;
  std::int64_t limit = 100'000;
  bool fail_on_skew = false;
};

struct Skew {
  std::int64_t rows = 0;
  std::int64_t incomplete = 0;
  bool is_all = true;
  Micros first = 0;  ///< event times of the rows
  Micros last = 0;
  std::vector<upstream::FieldSkew> fields{};
  std::vector<std::string> notes{};

  [[nodiscard]] bool differs() const {
    return std::any_of(fields.begin(), fields.end(),
                       [](const auto& field) { return field.differs(); });
  }
};

/// The definitions by which the service's rows are read.
struct SkewDefinitions {
  const spec::Model* model = nullptr;
  const spec::Contract* contract = nullptr;
};

Result<SkewDefinitions> skew_definitions(const spec::Project& project, const std::string& name) {
  const auto service = project.services.find(name);
  if (service == project.services.end()) {
    return Error{ErrorKind::kNotFound, "service-unknown", fmt::format("no service `{}`", name),
                 "see `heddle status`"};
  }
  SkewDefinitions out;
  out.model = &project.models.at(service->second.model);
  out.contract = &project.contracts.at(project.feature_sets.at(out.model->features).contract);
  return out;
}

/// What the rows were sent with, against what the sources say now.
Result<std::vector<upstream::FieldSkew>> compare_rows(const contract::Contract& contract,
                                                      const upstream::Joiner& joiner,
                                                      const control::ServedRows& served) {
  HEDDLE_ASSIGN_OR_RETURN(auto columns, joiner.columns(served.rows));
  std::vector<upstream::FieldSkew> out;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const spec::Field& field = joiner.fields()[i];
    // Both as the contract repairs them: what is written otherwise is no other value.
    HEDDLE_ASSIGN_OR_RETURN(const auto sent, contract.repaired(served.rows, field.name));
    HEDDLE_ASSIGN_OR_RETURN(const auto rows, served.rows.with_column(std::move(columns[i])));
    HEDDLE_ASSIGN_OR_RETURN(const auto computed, contract.repaired(rows, field.name));
    out.push_back(upstream::compare(field, sent, computed, served.ids, kMostExamples));
  }
  return out;
}

Result<Skew> find_skew(const Invocation& invocation, const SkewArguments& arguments) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, find_project(invocation.project));
  const control::Home home(root);
  HEDDLE_ASSIGN_OR_RETURN(const auto project, control::applied_project(home, *invocation.wiring));
  HEDDLE_ASSIGN_OR_RETURN(const auto of, skew_definitions(project, arguments.service));
  HEDDLE_ASSIGN_OR_RETURN(const auto contract,
                          contract::Contract::compile(*of.contract, [&](const std::string& file,
                                                                        const std::string& column) {
                            return spec::load_enum(project, file, column);
                          }));
  upstream::Joiner::Options options;
  options.project = &project;
  options.contract = &contract;
  // No column counts as there: what clients sent is computed once more.
  options.fields = upstream::fields_to_join(contract.request_fields(), {});
  options.time_field = of.model->time_field;
  options.own_source = of.model->source;
  if (options.fields.empty()) {
    return Error{ErrorKind::kInvalid, "skew-no-upstream",
                 fmt::format("contract `{}` of service `{}` has no `upstream` field",
                             of.contract->identity.name, arguments.service),
                 "declare where the values that clients send come from: docs/joins.md"};
  }
  HEDDLE_ASSIGN_OR_RETURN(const Micros from, time_option(arguments.from, INT64_MIN));
  HEDDLE_ASSIGN_OR_RETURN(const Micros to, time_option(arguments.to, INT64_MAX));
  const auto fields = contract.request_fields();
  HEDDLE_ASSIGN_OR_RETURN(
      const auto served,
      control::read_served_rows(home.spool(arguments.service), {fields.begin(), fields.end()}, from,
                                to, arguments.limit));
  // To compare nothing is not to find that nothing differs.
  if (served.ids.empty()) {
    return Error{
        ErrorKind::kNotFound, "skew-no-rows",
        served.incomplete > 0
            ? fmt::format("the {} rows of `{}` that are recorded were served before it had "
                          "these fields",
                          served.incomplete, arguments.service)
            : fmt::format("no served row of `{}` is recorded{}", arguments.service,
                          from == INT64_MIN && to == INT64_MAX ? "" : " of that time"),
        "wait for traffic, or ask for another time"};
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto joiner, upstream::Joiner::open(options));
  Skew out;
  out.rows = std::ssize(served.ids);
  out.incomplete = served.incomplete;
  out.is_all = served.is_all;
  out.first = served.event_times.front();
  out.last = served.event_times.back();
  out.notes = joiner.notes();
  HEDDLE_ASSIGN_OR_RETURN(out.fields, compare_rows(contract, joiner, served));
  return out;
}

doc::Value skew_document(const SkewArguments& arguments, const Skew& skew) {
  auto fields = doc::Value::array();
  for (const auto& field : skew.fields) {
    fields.push(doc::Value::object(
        {{"field", field.field},
         {"source", field.source},
         {"rows", field.rows},
         {"equal", field.equal},
         {"different", field.different},
         {"missing_served", field.missing_served},
         {"missing_computed", field.missing_computed},
         {"largest", field.largest ? doc::Value(*field.largest) : doc::Value()},
         {"examples", doc::to_list(field.examples, [](const auto& each) {
            return doc::Value::object(
                {{"row", each.row}, {"served", each.served}, {"computed", each.computed}});
          })}}));
  }
  return doc::Value::object(
      {{"service", arguments.service},
       {"rows", skew.rows},
       {"incomplete", skew.incomplete},
       {"all", skew.is_all},
       {"first", format_time(skew.first)},
       {"last", format_time(skew.last)},
       {"differs", skew.differs()},
       {"fields", std::move(fields)},
       {"notes", doc::to_list(skew.notes, [](const auto& note) { return doc::Value(note); })}});
}

void print_skew(const Console& console, const Skew& skew) {
  console.data(fmt::format("{} served rows, {} to {}", skew.rows, format_time(skew.first),
                           format_time(skew.last)));
  for (const auto& field : skew.fields) {
    if (!field.differs()) {
      console.data(
          fmt::format("`{}`: every value is what source `{}` says", field.field, field.source));
      continue;
    }
    console.data(fmt::format(
        "`{}`: {} of {} values are not what source `{}` says: {} differ{}, {} were not sent, {} "
        "the "
        "source does not have",
        field.field, field.rows - field.equal, field.rows, field.source, field.different,
        field.largest ? fmt::format(" by at most {}", *field.largest) : "", field.missing_served,
        field.missing_computed));
    for (const auto& each : field.examples)
      console.data(fmt::format("  {}: {} was served, {} is computed", each.row,
                               doc::to_json(each.served), doc::to_json(each.computed)));
  }
  if (skew.incomplete > 0)
    console.message(fmt::format(
        "  {} rows were served before the service had these fields, and are not compared",
        skew.incomplete));
  if (!skew.is_all)
    console.message("  older rows are recorded: --limit N, or --from and --to, choose others");
  for (const auto& note : skew.notes) console.message("  " + note);
}

int skew_of(const Invocation& invocation, const Console& console, const SkewArguments& arguments) {
  /// As a gate that failed ends (docs/exit-codes.md).
  constexpr int kSkew = 3;
  const auto skew = find_skew(invocation, arguments);
  if (!skew.ok()) return console.fail(skew.error());
  if (console.json())
    console.document(skew_document(arguments, *skew));
  else
    print_skew(console, *skew);
  return arguments.fail_on_skew && skew->differs() ? kSkew : 0;
}

}  // namespace

void add_skew_command(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<SkewArguments>();
  auto* command = app.add_subcommand(
      "skew", "values that clients sent against what their sources say, row by row");
  command->add_option("service", arguments->service, "name of the service")->required();
  command->add_option("--from", arguments->from, "first event time of the rows");
  command->add_option("--to", arguments->to, "event time after the last");
  command->add_option("--limit", arguments->limit, "the newest so many rows; default: 100000")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{100'000'000}));
  command->add_flag("--fail-on-skew", arguments->fail_on_skew,
                    "exit code 3 when a value is another one");
  command->callback([&invocation, arguments] {
    invocation.run = [=, &invocation](const Console& console) {
      return skew_of(invocation, console, *arguments);
    };
  });
}

}  // namespace heddle::cli
